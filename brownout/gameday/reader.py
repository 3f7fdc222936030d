"""A game day's file → a `GameDay`, or everything that is wrong with it, each with its line and column.

What the rules of `brownout.gameday.governance` ask for may be missing here: they refuse the start, with a reason.
"""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from brownout.attachment import Attachment
from brownout.binding import Binder
from brownout.errors import Location, nearest_name, shown
from brownout.gameday import schedule as schedules
from brownout.gameday.blackoutreader import BlackoutReader
from brownout.gameday.plan import (
    REVIEW_WITHIN,
    TTD,
    TTM,
    WINDOW,
    BlastRadius,
    GameDay,
    People,
    Phase,
    PlannedExperiment,
    Schedule,
)
from brownout.gameday.tellingreader import TellingReader
from brownout.gameday.values import Values
from brownout.parameters import Parameter
from brownout.units import Share
from brownout.yamlsource import Entry, Node, ScalarNode, SequenceNode, compose, printable_path, read_source

REQUIRED = ("title", "schedule", "phases")
KEYS = (
    *("title", "purpose", "schedule", "target", "context", "namespace", "description", "blast-radius", "phases"),
    *("goals", "runbook", "rollback", "people", "blackouts", "review", "detection", "notify"),
)
SCHEDULE = ("cron", "time-zone", "week", "window")
RADIUS = ("traffic", "pods", "tenants")
GOALS = ("detect", "mitigate")
PEOPLE = ("commander", "abort", "scribe", "responders")
LONGEST_WINDOW = 24 * 3600.0
LONGEST_PAUSE = 4 * 3600.0
_CRON = re.compile(r"[0-9A-Z*,/-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def read_plan(path: Path) -> GameDay:
    """Read and check a game day's file.

    Raises:
        InvalidInput: the file cannot be read, or something in it is wrong; `InvalidInputs` where several things are.
        EnvironmentProblem: the extra `gameday` is not installed.
    """
    return parse_plan(read_source(path), path=path)


def parse_plan(text: str, *, path: Path, kept: bool = False) -> GameDay:
    """Like `read_plan`, from a text; other files are looked for beside `path`.

    Of a plan that is `kept` from an earlier drill they are not: they may have changed, or be gone.
    """
    file = printable_path(path)
    return _Reader(path, kept=kept).plan(compose(text, file=file), source=text)


class _Reader:
    def __init__(self, path: Path, *, kept: bool = False) -> None:
        self._binder = Binder()
        self._values = Values(self._binder)
        self._blackouts = BlackoutReader(self._values, path.parent, kept=kept)
        self._telling = TellingReader(self._values)
        self._path = path
        self._kept = kept

    def plan(self, root: Node, *, source: str) -> GameDay:
        top = self._binder.mapping(root, "a game day") or {}
        self._binder.known(top, KEYS, of="a game day")
        for key in REQUIRED:
            if key not in top:
                self._binder.note(f"{key!r} is missing; a game day needs it", at=root.at)
        name = self._path.stem
        if not _NAME.fullmatch(name):
            problem = "a plan is known by its file's name: use up to 64 letters, digits, '.', '_' and '-'"
            self._binder.note(problem, at=root.at)
        goals, review = self._values.part(top.get("goals"), GOALS), self._values.part(top.get("review"), ("within",))
        within = self._values.seconds(review.get("within"), REVIEW_WITHIN)
        if within > REVIEW_WITHIN:
            problem = f"within: a drill is reviewed within {REVIEW_WITHIN / 3600:g}h of its end, or sooner"
            self._binder.note(problem, at=review["within"].node.at)
        schedule, people = self._schedule(top.get("schedule")), self._people(top.get("people"))
        plan = GameDay(
            name=name,
            file=self._path,
            title=" ".join((self._values.text(top.get("title")) or "").split()),
            purpose=self._values.text(top.get("purpose")) or "",
            schedule=schedule,
            target=self._values.text(top.get("target")),
            attachment=self._attachment(top),
            blast_radius=self._radius(top.get("blast-radius")),
            phases=self._phases(top.get("phases")),
            ttd=self._values.seconds(goals.get("detect"), TTD),
            ttm=self._values.seconds(goals.get("mitigate"), TTM),
            runbook=self._values.text(top.get("runbook")),
            rollback=self._values.text(top.get("rollback")),
            people=people,
            blackouts=self._blackouts.blackouts(top.get("blackouts")),
            review_within=within,
            detection=self._telling.detection(top.get("detection")),
            notify=self._telling.notify(top.get("notify")),
            source=source,
        )
        self._binder.refuse()
        return plan

    def _attachment(self, top: Mapping[str, Entry]) -> Attachment:
        description = self._values.text(top.get("description"))
        if description is not None and not self._kept and not (self._path.parent / description).is_file():
            self._binder.note(f"description: there is no file {shown(description)}", at=top["description"].node.at)
        return Attachment(
            context=self._values.text(top.get("context")),
            namespace=self._values.text(top.get("namespace")),
            description=None if description is None else self._path.parent / description,
        )

    # -- parts -----------------------------------------------------------------------------------------------------

    def _schedule(self, entry: Entry | None) -> Schedule:
        part = self._values.part(entry, SCHEDULE)
        for key in ("cron", "time-zone"):
            if entry is not None and key not in part:
                self._binder.note(f"schedule: {key!r} is missing", at=entry.at, allowed=SCHEDULE)
        window = self._values.seconds(part.get("window"), WINDOW)
        if "window" in part and not 60 <= window <= LONGEST_WINDOW:
            problem = f"window: expected 1m to {LONGEST_WINDOW / 3600:g}h"
            self._binder.note(problem, at=part["window"].node.at)
        week = self._values.integer(part.get("week"), least=1, most=4)
        cron, zone = self._cron(part.get("cron"), part.get("week")), self._zone(part.get("time-zone"))
        schedule = Schedule(cron, zone, week=week, window=window)
        if cron and "cron" in part:
            self._refuse_overlaps(schedule, part["cron"].node.at)
        return schedule

    def _cron(self, entry: Entry | None, week: Entry | None) -> str:
        text = (self._values.text(entry) or "").upper()
        if entry is None or not text:
            return ""
        words = text.split()
        if len(words) != 5 or not all(_CRON.fullmatch(word) for word in words):
            problem = (
                f"cron: got {shown(text)}; expected five fields: minute, hour, day of the month, month, day of the week"
            )
            self._binder.note(f"{problem}, such as '0 3 * * SUN'", at=entry.node.at)
            return ""
        try:
            schedules.fields(text)
        except ValueError as error:
            self._binder.note(f"cron: got {shown(text)}; {error}", at=entry.node.at)
            return ""
        if words[2] != "*" and words[4] != "*":
            # Some take both to be asked for, some either: https://man7.org/linux/man-pages/man5/crontab.5.html
            problem = (
                "cron: say a day of the month or a day of the week: engines do not agree on what both together mean"
            )
            self._binder.note(f"{problem}; 'week: 2' is the second such day of the month", at=entry.node.at)
            return ""
        if week is not None and words[4] == "*":
            self._binder.note("week: the cron names no day of the week of which it could be one", at=week.node.at)
        return " ".join(words)

    def _zone(self, entry: Entry | None) -> ZoneInfo:
        name = self._values.text(entry)
        if entry is None or name is None:
            return ZoneInfo("UTC")
        known = available_timezones()
        if name in known:
            return ZoneInfo(name)
        near = nearest_name(name, known)
        hint = "" if near is None else f"; did you mean {near!r}?"
        self._binder.note(f"time-zone: unknown time zone {shown(name)}{hint}", at=entry.node.at)
        return ZoneInfo("UTC")

    def _refuse_overlaps(self, schedule: Schedule, at: Location) -> None:
        # A leap year has every date that there is.
        start = datetime(2024, 1, 1, tzinfo=schedule.zone)
        dates = list(islice(schedules.occurrences(schedule, start, before=start + timedelta(days=366)), 400))
        if not dates:
            dates = list(islice(schedules.occurrences(schedule, start, before=start + timedelta(days=3653)), 1))
        if not dates:
            self._binder.note("cron: this never comes", at=at)
        elif any(later.start < one.end for one, later in pairwise(dates)):
            minutes = schedule.window / 60
            problem = f"cron: the next drill would be due within the window of the one before it ({minutes:g} minutes)"
            self._binder.note(problem, at=at)

    def _radius(self, entry: Entry | None) -> BlastRadius:
        part = self._values.part(entry, RADIUS)
        traffic: float | None = None
        if "traffic" in part:
            traffic = self._binder.value(Parameter("traffic", "traffic", Share), part["traffic"].node)
            if traffic == 0:
                self._binder.note("traffic: a drill that hits nobody shows nothing", at=part["traffic"].node.at)
        return BlastRadius(
            traffic, self._values.integer(part.get("pods"), least=1), self._values.names(part.get("tenants"))
        )

    def _phases(self, entry: Entry | None) -> tuple[Phase, ...]:
        nodes = self._binder.items(entry, what="phases") or ()
        if entry is not None and isinstance(entry.node, SequenceNode) and not nodes:
            self._binder.note("phases: expected at least one", at=entry.node.at)
        phases = []
        for node in nodes:
            part = self._binder.mapping(node, "a phase") or {}
            self._binder.known(part, ("name", "experiments"), of="a phase")
            for key in ("name", "experiments"):
                if key not in part:
                    self._binder.note(f"a phase: {key!r} is missing", at=node.at)
            name = " ".join((self._values.text(part.get("name")) or "").split())
            listed = part.get("experiments")
            experiments = self._binder.items(listed, what="experiments") or ()
            if listed is not None and isinstance(listed.node, SequenceNode) and not experiments:
                self._binder.note("experiments: expected at least one", at=listed.node.at)
            planned = [self._experiment(one) for one in experiments]
            phases.append(Phase(name, tuple(one for one in planned if one is not None)))
        return tuple(phases)

    def _experiment(self, node: Node) -> PlannedExperiment | None:
        if isinstance(node, ScalarNode):
            return self._beside(node, "experiment")
        part = self._binder.mapping(node, "an experiment of a phase") or {}
        self._binder.known(part, ("run", "pause"), of="an experiment of a phase")
        pause = self._values.seconds(part.get("pause"), 0.0)
        if pause > LONGEST_PAUSE:
            problem = f"pause: expected at most {LONGEST_PAUSE / 3600:g}h"
            self._binder.note(problem, at=part["pause"].node.at)
        if "run" not in part:
            self._binder.note("an experiment of a phase: 'run' is missing: which file?", at=node.at)
            return None
        return self._beside(part["run"].node, "run", pause=pause)

    def _beside(self, node: Node, key: str, *, pause: float = 0.0) -> PlannedExperiment | None:
        text: str | None = self._binder.value(Parameter(key, key, str), node)
        if text is None:
            return None
        path = self._path.parent / text
        if not self._kept and not path.is_file():
            self._binder.note(f"{key}: there is no file {printable_path(path)}", at=node.at)
        return PlannedExperiment(path, node.at, pause=pause)

    def _people(self, entry: Entry | None) -> People:
        part = self._values.part(entry, PEOPLE)
        return People(
            commander=self._values.text(part.get("commander")),
            abort=self._values.names(part.get("abort")),
            scribe=self._values.text(part.get("scribe")),
            responders=self._values.names(part.get("responders")),
        )
