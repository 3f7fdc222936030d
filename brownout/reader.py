"""An experiment file → an `Experiment`, or everything that is wrong with it, each with its line and column.

What can be known without a target is checked here; what only a target knows is `brownout.fit`'s to check.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from brownout import registry
from brownout.binding import Binder, written
from brownout.errors import EnvironmentProblem, InvalidInput, Location, shown
from brownout.evidence.requests import Requests
from brownout.evidence.window import Window
from brownout.experiment import DEFAULT_ABORT_WINDOW, DEFAULT_RECOVERY, Block, Check, Experiment, Load, Step
from brownout.parameters import Parameter, parameters_of
from brownout.registry import Fault, Probe, Registry
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds
from brownout.yamlsource import MAX_BYTES, Entry, MappingNode, Node, ScalarNode, compose, printable_path, read_source

REQUIRED = ("title", "hypothesis", "steady-state", "method")
KEYS = (*REQUIRED, "tags", "target", "settings", "load", "duration", "expect", "abort")
TIMING = ("at", "for")
_OURS = frozenset(KEYS) - {"title", "tags", "method"}
SHORTEST_LOOK = Duration(1.0)
"""Less than this before the first fault, after the last one, or in a rolling window, and there is nothing to see."""
MAX_TITLE = 200

_AT = Parameter("at", "at", Duration)
_FOR = Parameter("for", "for_", Duration)
_OVER = Parameter("over", "over", Duration, required=False)


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


@dataclass(frozen=True, slots=True)
class _Placed:
    """A step, where its length stands, and what it acts on: two faults of one name must not overlap there."""

    step: Step
    for_: Location
    acts_on: tuple[object, ...]


class _Reader:
    def __init__(self, faults: Registry[Fault], probes: Registry[Probe]) -> None:
        self._faults = faults
        self._probes = probes
        self._binder = Binder()
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
        tags, load, settings = self._tags(top), self._load(top.get("load")), self._settings(top.get("settings"))
        method = self._method(top.get("method"))
        duration = self._duration(top.get("duration"), method or ())
        during, after = self._expect(top.get("expect"), at=root.at, method=method)
        abort = self._checks(top.get("abort"), "abort")
        self._binder.refuse()
        return Experiment(
            title=" ".join((title or "").split()),
            hypothesis=hypothesis or "",
            tags=tags,
            load=load,
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
            locations=self._locations,
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

    def _load(self, entry: Entry | None) -> Load:
        given = self._binder.arguments("load", parameters_of(Load), entry.node, at=entry.at) if entry else None
        if given is None:
            return Load()
        self._locations |= {f"load.{key}": at for key, at in given.places.items()}
        load = Load(**given.values)
        if not load.timeout:
            problem = f"timeout: got {given.written['timeout']}; an answer takes some time, such as 30s"
            self._binder.note(problem, at=given.places["timeout"])
        return load

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
        self, entry: Entry | None, *, at: Location, method: Sequence[_Placed] | None
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

    def _checks(self, entry: Entry | None, block: Block) -> tuple[Check, ...] | None:
        """None where any of them cannot be read."""
        nodes = self._binder.items(entry, what="checks")
        checks = [self._check(node, block) for node in nodes or ()]
        readable = [one for one in checks if one is not None]
        return tuple(readable) if nodes is not None and len(readable) == len(checks) else None

    def _check(self, node: Node, block: Block) -> Check | None:
        named = self._named_probe(node)
        if named is None:
            return None
        name, at, given = named.key, named.at, named.node
        probe = self._probes.get(name, at=at)
        parameters = allowed = parameters_of(probe)
        if block == "abort":
            allowed = (*parameters, _OVER)
        else:
            given = self._without_over(given)
        arguments = self._binder.arguments(name, allowed, given, at=at)
        if arguments is None:
            return None
        values = {key: value for key, value in arguments.values.items() if key != _OVER.name}
        over = arguments.values.get(_OVER.name, DEFAULT_ABORT_WINDOW)
        if over < SHORTEST_LOOK:
            problem = f"over: got {arguments.written['over']}; a rolling window is at least 1s long"
            self._binder.note(problem, at=arguments.places["over"])
        if nonsense := _nonsense(name, probe, values, block=block):
            self._binder.note(f"{name}: {nonsense}", at=at)
        scaled = frozenset(one.name for one in parameters if one.type is Duration)
        # A default is a span like any other: written down here, it is scaled like the others.
        values = {
            one.name: one.default for one in parameters if one.name in scaled and one.default is not None
        } | values
        return Check(name, values, _title(name, arguments.written), at, over=over, scaled=scaled)

    def _named_probe(self, node: Node) -> Entry | None:
        """`- probe: {...}`, or `- probe` where it takes no arguments."""
        if not isinstance(node, ScalarNode) or not isinstance(node.value, str):
            entries = self._binder.mapping(node, "a check")
            known = self._probes.names()
            return None if entries is None else self._binder.only(entries, known, kind="probe", at=node.at)
        if node.value in self._probes:
            return Entry(node.at, node.value, ScalarNode(node.at, "", None))
        problem = f"unknown probe {shown(node.value)}"
        self._binder.note(problem, at=node.at, value=node.value, allowed=self._probes.names())
        return None

    def _without_over(self, given: Node) -> Node:
        if not isinstance(given, MappingNode) or _OVER.key not in given.entries:
            return given
        problem = (
            "over: a rolling window belongs to abort conditions only; other checks judge the whole of their window"
        )
        self._binder.note(problem, at=given.entries[_OVER.key].at)
        return replace(given, entries={key: one for key, one in given.entries.items() if key != _OVER.key})

    def _method(self, entry: Entry | None) -> tuple[_Placed, ...] | None:
        """None where it is not there, or any of its steps cannot be read."""
        nodes = self._binder.items(entry, what="faults") if entry else None
        steps = [self._step(index, node) for index, node in enumerate(nodes or ())]
        placed = tuple(one for one in steps if one is not None)
        self._refuse_overlaps(placed)
        return placed if nodes is not None and len(placed) == len(steps) else None

    def _refuse_overlaps(self, placed: Sequence[_Placed]) -> None:
        last: dict[tuple[object, ...], Step] = {}
        for one in sorted(placed, key=lambda one: one.step.at):
            step, earlier = one.step, last.get(one.acts_on)
            if earlier is not None and step.at < earlier.end:
                problem = (
                    f"{step.title} begins at {format_seconds(step.at)}, while the same fault of line "
                    f"{earlier.location.line} is on, from {format_seconds(earlier.at)} to {format_seconds(earlier.end)}"
                )
                self._binder.note(problem, at=step.location)
            if earlier is None or step.end > earlier.end:
                last[one.acts_on] = step

    def _step(self, index: int, node: Node) -> _Placed | None:
        entries = self._binder.mapping(node, "an entry of the method")
        if entries is None:
            return None
        at, for_ = (self._time(parameter, entries, node.at) for parameter in (_AT, _FOR))
        named = self._binder.only(entries, self._faults.names(), kind="fault", at=node.at, besides=TIMING)
        if named is None:
            return None
        parameters = parameters_of(self._faults.get(named.key, at=named.at))
        arguments = self._binder.arguments(named.key, parameters, named.node, at=named.at)
        if at is None or for_ is None or arguments is None:
            return None
        scaled = frozenset(one.name for one in parameters if one.type is Duration)
        # A default is a span like any other: it is written down here, so that it is scaled like the others.
        values = {one.name: one.default for one in parameters if one.name in scaled and one.default is not None}
        values |= arguments.values
        title = _step_title(named.key, arguments.written)
        step = Step(index, named.key, values, at, for_, title, named.at, scaled)
        places = [arguments.values.get(one.name) for one in parameters if one.type is ServiceName]
        return _Placed(step, entries["for"].node.at, (named.key, *(places or sorted(arguments.written.items()))))

    def _time(self, parameter: Parameter, entries: Mapping[str, Entry], at: Location) -> Duration | None:
        if parameter.key not in entries:
            problem = f"{parameter.key!r} is missing; a fault has a start (at: 10s) and a length (for: 20s)"
            self._binder.note(problem, at=at)
            return None
        node = entries[parameter.key].node
        seconds: Duration | None = self._binder.value(parameter, node)
        if seconds is None:
            return None
        if parameter is _AT and seconds < SHORTEST_LOOK:
            problem = f"at: got {written(node)}; this leaves no time to see the steady state; start at 1s or later"
            self._binder.note(problem, at=node.at)
        if parameter is _FOR and not seconds:
            self._binder.note(f"for: got {written(node)}; a fault lasts for some time", at=node.at)
        return seconds

    def _duration(self, entry: Entry | None, method: Sequence[_Placed]) -> Duration:
        healed = max((one.step.end for one in method), default=Duration(0.0))
        if entry is None:
            return Duration(healed + DEFAULT_RECOVERY)
        duration: Duration | None = self._binder.value(Parameter("duration", "duration", Duration), entry.node)
        if duration is None:
            return Duration(0.0)
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


def _nonsense(name: str, probe: Probe, arguments: Mapping[str, object], *, block: Block) -> str | None:
    """What the probe itself says of its arguments: it raises `ValueError` where they make no sense, whatever it judges.

    Raises:
        EnvironmentProblem: it raises anything else, on an empty window.
    """
    try:
        probe(Window(block, 0.0, 1.0, Requests.of(), ()), **arguments)
    except InvalidInput as error:
        return error.problem
    except ValueError as error:
        return " ".join(str(error).split())
    except Exception as error:
        msg = f"probe {name!r} is broken; on an empty window it raises {type(error).__name__}: {error}"
        raise EnvironmentProblem(msg) from error
    return None


def _listed(arguments: Mapping[str, str], between: str) -> str:
    return ", ".join(f"{key}{between}{value}" for key, value in arguments.items())


def _title(probe: str, arguments: Mapping[str, str]) -> str:
    return f"{probe}: {_listed(arguments, ' ')}" if arguments else probe


def _step_title(fault: str, arguments: Mapping[str, str]) -> str:
    """`partition gateway → vector-db`, with what else was said in brackets; or `fault key: value, ...`."""
    others = {key: value for key, value in arguments.items() if key not in ("from", "to")}
    if len(others) != len(arguments) - 2:
        return f"{fault} {_listed(arguments, ': ')}".strip()
    link = f"{fault} {arguments['from']} → {arguments['to']}"
    return f"{link} ({_listed(others, ': ')})" if others else link


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
