"""A game day's file → a `GameDay`, or everything that is wrong with it, each with its line and column.

What the rules of `brownout.gameday.governance` ask for may be missing here: they refuse the start, with a reason.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import islice, pairwise
from pathlib import Path
from zoneinfo import ZoneInfo, available_timezones

from brownout.binding import Binder
from brownout.errors import Location, nearest_name, shown
from brownout.gameday import schedule as schedules
from brownout.gameday.plan import (
    REVIEW_WITHIN,
    TTD,
    TTM,
    WINDOW,
    Blackout,
    BlastRadius,
    ClosedCalendar,
    ClosedDays,
    GameDay,
    MonthEnd,
    People,
    Phase,
    PlannedExperiment,
    Schedule,
)
from brownout.parameters import Parameter
from brownout.units import Duration, Share
from brownout.yamlsource import Entry, Node, ScalarNode, SequenceNode, compose, printable_path, read_source

REQUIRED = ("title", "schedule", "phases")
KEYS = (
    *("title", "purpose", "schedule", "target", "blast-radius", "phases", "goals", "runbook", "rollback", "people"),
    *("blackouts", "review"),
)
SCHEDULE = ("cron", "time-zone", "week", "window")
RADIUS = ("traffic", "pods", "tenants")
GOALS = ("detect", "mitigate")
PEOPLE = ("commander", "abort", "scribe", "responders")
BLACKOUTS = ("date", "from", "to", "month-end", "launch-week", "calendar", "why")
MONTH_END = ("before", "after")
LONGEST_WINDOW = 24 * 3600.0
LONGEST_PAUSE = 4 * 3600.0
_CRON = re.compile(r"[0-9A-Z*,/-]+")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_ISO_WEEK = re.compile(r"(\d{4})-W(\d{2})")


def read_plan(path: Path) -> GameDay:
    """Read and check a game day's file.

    Raises:
        InvalidInput: the file cannot be read, or something in it is wrong; `InvalidInputs` where several things are.
        EnvironmentProblem: the extra `gameday` is not installed.
    """
    return parse_plan(read_source(path), path=path)


def parse_plan(text: str, *, path: Path) -> GameDay:
    """Like `read_plan`, from a text; other files are looked for beside `path`."""
    file = printable_path(path)
    return _Reader(path).plan(compose(text, file=file), source=text)


class _Reader:
    def __init__(self, path: Path) -> None:
        self._binder = Binder()
        self._path = path

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
        goals, review = self._part(top.get("goals"), GOALS), self._part(top.get("review"), ("within",))
        within = self._seconds(review.get("within"), REVIEW_WITHIN)
        if within > REVIEW_WITHIN:
            problem = f"within: a drill is reviewed within {REVIEW_WITHIN / 3600:g}h of its end, or sooner"
            self._binder.note(problem, at=review["within"].node.at)
        schedule, people = self._schedule(top.get("schedule")), self._people(top.get("people"))
        plan = GameDay(
            name=name,
            file=self._path,
            title=" ".join((self._text(top.get("title")) or "").split()),
            purpose=self._text(top.get("purpose")) or "",
            schedule=schedule,
            target=self._text(top.get("target")),
            blast_radius=self._radius(top.get("blast-radius")),
            phases=self._phases(top.get("phases")),
            ttd=self._seconds(goals.get("detect"), TTD),
            ttm=self._seconds(goals.get("mitigate"), TTM),
            runbook=self._text(top.get("runbook")),
            rollback=self._text(top.get("rollback")),
            people=people,
            blackouts=self._blackouts(top.get("blackouts")),
            review_within=within,
            source=source,
        )
        self._binder.refuse()
        return plan

    # -- parts -----------------------------------------------------------------------------------------------------

    def _schedule(self, entry: Entry | None) -> Schedule:
        part = self._part(entry, SCHEDULE)
        for key in ("cron", "time-zone"):
            if entry is not None and key not in part:
                self._binder.note(f"schedule: {key!r} is missing", at=entry.at, allowed=SCHEDULE)
        window = self._seconds(part.get("window"), WINDOW)
        if "window" in part and not 60 <= window <= LONGEST_WINDOW:
            problem = f"window: expected 1m to {LONGEST_WINDOW / 3600:g}h"
            self._binder.note(problem, at=part["window"].node.at)
        week = self._integer(part.get("week"), least=1, most=4)
        cron, zone = self._cron(part.get("cron"), part.get("week")), self._zone(part.get("time-zone"))
        schedule = Schedule(cron, zone, week=week, window=window)
        if cron and "cron" in part:
            self._refuse_overlaps(schedule, part["cron"].node.at)
        return schedule

    def _cron(self, entry: Entry | None, week: Entry | None) -> str:
        text = (self._text(entry) or "").upper()
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
        name = self._text(entry)
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
        part = self._part(entry, RADIUS)
        traffic: float | None = None
        if "traffic" in part:
            traffic = self._binder.value(Parameter("traffic", "traffic", Share), part["traffic"].node)
            if traffic == 0:
                self._binder.note("traffic: a drill that hits nobody shows nothing", at=part["traffic"].node.at)
        return BlastRadius(traffic, self._integer(part.get("pods"), least=1), self._names(part.get("tenants")))

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
            name = " ".join((self._text(part.get("name")) or "").split())
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
        pause = self._seconds(part.get("pause"), 0.0)
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
        if not path.is_file():
            self._binder.note(f"{key}: there is no file {printable_path(path)}", at=node.at)
        return PlannedExperiment(path, node.at, pause=pause)

    def _people(self, entry: Entry | None) -> People:
        part = self._part(entry, PEOPLE)
        return People(
            commander=self._text(part.get("commander")),
            abort=self._names(part.get("abort")),
            scribe=self._text(part.get("scribe")),
            responders=self._names(part.get("responders")),
        )

    def _blackouts(self, entry: Entry | None) -> tuple[Blackout, ...]:
        nodes = self._binder.items(entry, what="blackouts") or ()
        found = [self._blackout(node) for node in nodes]
        return tuple(one for one in found if one is not None)

    def _blackout(self, node: Node) -> Blackout | None:
        part = self._binder.mapping(node, "a blackout") or {}
        self._binder.known(part, BLACKOUTS, of="a blackout")
        why = self._text(part.get("why"))
        kinds = [key for key in ("date", "from", "month-end", "launch-week", "calendar") if key in part]
        if len(kinds) != 1 or ("to" in part) != (kinds == ["from"]):
            problem = "a blackout: expected one of date, from with to, month-end, launch-week, calendar"
            self._binder.note(problem, at=node.at)
            return None
        entry = part[kinds[0]]
        match kinds[0]:
            case "date" | "from":
                return self._closed_days(entry, part.get("to", entry), why)
            case "launch-week":
                return self._launch_week(entry, why)
            case "month-end":
                return self._month_end(entry, why)
            case _:
                return self._calendar(entry, why)

    def _closed_days(self, from_: Entry, to: Entry, why: str | None) -> Blackout | None:
        first, last = self._date(from_), self._date(to)
        if first is None or last is None:
            return None
        if last < first:
            self._binder.note(f"to: {last} is before {first}", at=to.node.at)
        return ClosedDays(first, last, why or ("a day without drills" if first == last else "days without drills"))

    def _launch_week(self, entry: Entry, why: str | None) -> Blackout | None:
        text = self._text(entry)
        if text is None:
            return None
        found = _ISO_WEEK.fullmatch(text)
        try:
            monday = date.fromisocalendar(int(found[1]), int(found[2]), 1) if found else None
        except ValueError:
            monday = None
        if monday is None:
            problem = f"launch-week: got {shown(text)}; expected a week of a year such as 2027-W14 (ISO 8601)"
            self._binder.note(problem, at=entry.node.at)
            return None
        return ClosedDays(monday, monday + timedelta(days=6), why or "a launch week")

    def _month_end(self, entry: Entry, why: str | None) -> Blackout:
        part = self._part(entry, MONTH_END)
        before = self._integer(part.get("before"), least=1, most=15)
        after = self._integer(part.get("after"), least=0, most=15)
        return MonthEnd(1 if before is None else before, after or 0, why or "month-end")

    def _calendar(self, entry: Entry, why: str | None) -> Blackout | None:
        text = self._text(entry)
        if text is None:
            return None
        path = self._path.parent / text
        if not path.is_file():
            self._binder.note(f"calendar: there is no file {printable_path(path)}", at=entry.node.at)
            return None
        return ClosedCalendar(path, entry.node.at, why)

    # -- values ----------------------------------------------------------------------------------------------------

    def _part(self, entry: Entry | None, allowed: Sequence[str]) -> Mapping[str, Entry]:
        if entry is None:
            return {}
        part = self._binder.mapping(entry.node, entry.key) or {}
        self._binder.known(part, allowed, of=entry.key)
        return part

    def _text(self, entry: Entry | None) -> str | None:
        if entry is None:
            return None
        text: str | None = self._binder.value(Parameter(entry.key, entry.key, str), entry.node)
        return text

    def _names(self, entry: Entry | None) -> tuple[str, ...]:
        if entry is None:
            return ()
        if isinstance(entry.node, ScalarNode):
            one = self._text(entry)
            return () if one is None else (one,)
        nodes = self._binder.items(entry, what="names") or ()
        names = [self._binder.value(Parameter(entry.key, entry.key, str), node) for node in nodes]
        return tuple(dict.fromkeys(name for name in names if name is not None))

    def _seconds(self, entry: Entry | None, default: float) -> float:
        if entry is None:
            return default
        seconds: float | None = self._binder.value(Parameter(entry.key, entry.key, Duration), entry.node)
        return default if seconds is None else seconds

    def _integer(self, entry: Entry | None, *, least: int, most: int | None = None) -> int | None:
        if entry is None:
            return None
        number: int | None = self._binder.value(Parameter(entry.key, entry.key, int), entry.node)
        if number is not None and (number < least or (most is not None and number > most)):
            expected = f"at least {least}" if most is None else f"{least} to {most}"
            self._binder.note(f"{entry.key}: got {number}; expected {expected}", at=entry.node.at)
            return None
        return number

    def _date(self, entry: Entry) -> date | None:
        text = self._text(entry)
        if text is None:
            return None
        try:
            return date.fromisoformat(text)
        except ValueError:
            problem = f"{entry.key}: got {shown(text)}; expected a date such as 2027-12-24"
            self._binder.note(problem, at=entry.node.at)
            return None
