"""An experiment file → an `Experiment`, or everything that is wrong with it, each with its line and column.

What can be known without a target is checked here; what only a target knows is `brownout.fit`'s to check.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from brownout import registry
from brownout.binding import Binder, written
from brownout.checkreader import CheckReader
from brownout.errors import InvalidInput, Location, shown
from brownout.experiment import DEFAULT_RECOVERY, SHORTEST_LOOK, Check, Experiment
from brownout.loadreader import LoadReader, PlacedStream
from brownout.methodreader import MethodReader, Placed
from brownout.parameters import Parameter
from brownout.registry import Fault, Probe, Registry
from brownout.units import Duration, format_seconds
from brownout.yamlsource import MAX_BYTES, Entry, Node, ScalarNode, compose, printable_path, read_source

REQUIRED = ("title", "hypothesis", "steady-state", "method")
KEYS = (*REQUIRED, "tags", "target", "settings", "load", "writes", "duration", "expect", "abort")
_OURS = frozenset(KEYS) - {"title", "tags", "method"}
MAX_TITLE = 200


def read_experiment(
    path: Path, *, faults: Registry[Fault] | None = None, probes: Registry[Probe] | None = None
) -> Experiment:
    """Read and check an experiment file. Without registries, the installed faults and probes are what it may name.

    Raises:
        InvalidInput: the file cannot be read, or something in it is wrong; `InvalidInputs` where several things are.
        EnvironmentProblem: a fault or probe that it names is installed but broken.
    """
    return parse_experiment(read_source(path), file=printable_path(path), faults=faults, probes=probes)


def parse_experiment(
    text: str, *, file: str, faults: Registry[Fault] | None = None, probes: Registry[Probe] | None = None
) -> Experiment:
    """Like `read_experiment`, from a text; `file` is what locations call it."""
    reader = _Reader(faults or registry.faults(), probes or registry.probes())
    return reader.experiment(compose(text, file=file), file=file, source=text)


class _Reader:
    def __init__(self, faults: Registry[Fault], probes: Registry[Probe]) -> None:
        self._binder = Binder()
        self._checks = CheckReader(self._binder, probes).checks
        self._steps = MethodReader(self._binder, faults).steps
        self._load = LoadReader(self._binder)
        self._locations: dict[str, Location] = {}

    def experiment(self, root: Node, *, file: str, source: str) -> Experiment:
        top = self._binder.mapping(root, "an experiment") or {}
        self._binder.known(top, KEYS, of="an experiment")
        for key in REQUIRED:
            if key not in top:
                self._binder.note(f"{key!r} is missing; an experiment needs it", at=root.at)
        title, hypothesis, target = (self._text(top.get(key)) for key in ("title", "hypothesis", "target"))
        if title and len(title) > MAX_TITLE:
            problem = f"title: got {shown(title)}; expected at most {MAX_TITLE} characters"
            self._binder.note(problem, at=top["title"].node.at)
        steady_state = self._checks(top.get("steady-state"), "steady-state before")
        if steady_state == () and "steady-state" in top:
            self._binder.note("steady-state: expected at least one check", at=top["steady-state"].node.at)
        tags, settings = self._tags(top), self._settings(top.get("settings"))
        load, writes = self._load.streams(top.get("load")), self._load.writes(top.get("writes"))
        method = self._steps(top.get("method"))
        duration = self._duration(top.get("duration"), method or (), load or ())
        if load and method is not None and duration:
            self._load.refuse_late(load, until=duration)
        during, after = self._expect(top.get("expect"), at=root.at, method=method)
        abort = self._checks(top.get("abort"), "abort")
        self._binder.refuse()
        return Experiment(
            title=" ".join((title or "").split()),
            hypothesis=hypothesis or "",
            tags=tags,
            load=tuple(one.load for one in load or ()),
            writes=writes,
            duration=duration,
            steady_state=steady_state or (),
            method=tuple(one.step for one in method or ()),
            during=during,
            after=after,
            abort=abort or (),
            target=target,
            settings=settings,
            file=file,
            source=source,
            locations=self._locations | self._load.locations,
        )

    def _text(self, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        self._locations[entry.key] = entry.node.at
        text: str | None = self._binder.value(Parameter(entry.key, entry.key, str), entry.node)
        return text

    def _tags(self, top: Mapping[str, Entry]) -> tuple[str, ...]:
        nodes = self._binder.items(top.get("tags"), what="words") or ()
        tags: list[str] = [self._binder.value(Parameter("tags", "tags", str), node) for node in nodes]
        return tuple(dict.fromkeys(tags))

    def _settings(self, entry: Entry | None) -> Mapping[str, str | float | int | bool]:
        settings: dict[str, str | float | int | bool] = {}
        entries = self._binder.mapping(entry.node, "settings") if entry else None
        for name, one in (entries or {}).items():
            self._locations[f"settings.{name}"] = one.at
            if isinstance(one.node, ScalarNode) and one.node.value is not None:
                settings[name] = one.node.value
            else:
                self._binder.note(f"{name}: got {one.node}; expected a single value", at=one.node.at)
        return settings

    def _expect(
        self, entry: Entry | None, *, at: Location, method: Sequence[Placed] | None
    ) -> tuple[tuple[Check, ...], tuple[Check, ...]]:
        expect = self._binder.mapping(entry.node, "expect") if entry else {}
        if expect is None:
            return (), ()
        self._binder.known(expect, ("during", "after"), of="expect")
        during, after = self._checks(expect.get("during"), "during"), self._checks(expect.get("after"), "after")
        if method and during == () == after:
            problem = "nothing is expected of the system; expect needs at least one check, in 'during' or in 'after'"
            self._binder.note(problem, at=entry.at if entry else at)
        return during or (), after or ()

    def _duration(self, entry: Entry | None, method: Sequence[Placed], load: Sequence[PlacedStream]) -> Duration:
        spikes = [] if method else [one.load.end for one in load if one.load.is_spike]
        healed = Duration(max((*(one.step.end for one in method), *spikes), default=0.0))
        if entry is None:
            return Duration(healed + DEFAULT_RECOVERY)
        duration: Duration | None = self._binder.value(Parameter("duration", "duration", Duration), entry.node)
        if duration is None:
            return Duration(0.0)
        if healed > duration and not method:
            return duration
        late = [one for one in method if one.step.end > duration]
        for one in late:
            problem = (
                f"for: the fault ends at {format_seconds(one.step.end)}, after the run itself, whose duration is "
                f"{format_seconds(duration)} (line {entry.at.line})"
            )
            self._binder.note(problem, at=one.for_)
        if not late and duration - healed < SHORTEST_LOOK:
            problem = (
                f"duration: got {written(entry.node)}; at least 1s must remain after the last fault has ended "
                f"(at {format_seconds(healed)}), for the system to be judged healed"
            )
            self._binder.note(problem, at=entry.node.at)
        return duration


_THEIRS = frozenset(
    (
        *("description", "steady-state-hypothesis", "rollbacks", "contributions", "controls"),
        *("configuration", "secrets", "runtime", "extensions", "dry"),
    )
)
"""Keys of a Chaos Toolkit experiment that are none of ours: https://chaostoolkit.org/reference/api/experiment/"""
_LARGEST_OF_THEIRS = 16 * MAX_BYTES
_TOP_KEY = re.compile(r"""^["']?([A-Za-z-]+)["']?[ \t]*:(?=\s)""", re.MULTILINE)
_ACTIVITY = re.compile(r"""^[ \t-]*["']?type["']?[ \t]*:[ \t]*["']?(?:action|probe)\b""", re.MULTILINE)


_TELLING = frozenset(("hypothesis", "steady-state", "method", "expect", "abort"))
"""Keys of an experiment that hardly another file has two of."""


def looks_like_experiment(path: Path) -> bool:
    """Whether a YAML file among others is one of our experiments, if perhaps a broken one."""
    try:
        text = read_source(path)
    except InvalidInput:
        return False
    return len(_TELLING.intersection(_TOP_KEY.findall(text))) > 1 and not looks_like_chaostoolkit(path)


def looks_like_chaostoolkit(source: str | Path) -> bool:
    """Whether a path or URL is an ordinary Chaos Toolkit experiment. What cannot be read is ours, to report it well."""
    if str(source).startswith(("http://", "https://")):
        return True
    try:
        text = read_source(Path(source), limit=_LARGEST_OF_THEIRS)
    except InvalidInput:
        return False
    if text.lstrip().startswith("{"):
        try:
            decoded = json.loads(text)
        except (ValueError, RecursionError):
            return False
        keys = set(decoded)
        acts = not keys & _OURS
    else:
        keys = set(_TOP_KEY.findall(text))
        acts = _ACTIVITY.search(text) is not None
    # A slip such as `description:` in one of ours does not make it theirs, nor the other way round.
    theirs, ours = len(keys & _THEIRS) + acts, len(keys & _OURS)
    return theirs > ours
