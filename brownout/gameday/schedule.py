"""When drills are due. Cron expressions are read by cronsim (BSD-3), which is kept for a cron monitoring service.

Compared in 2026 with croniter 7.0 (MIT, upkept again since it moved to Pallets-Eco), on the nights on which clocks
change. Both run what falls into the hour that is skipped once, at its end. What falls into the hour that comes twice,
croniter runs twice and cronsim once, as Debian's cron does; a drill starts once. cronsim has types and no dependencies;
croniter has no types, needs dateutil, and takes fields that no engine in `brownout.gameday.engines` knows.

The engines do not agree on those two hours themselves: Kubernetes skips what falls into the first
(https://pkg.go.dev/github.com/robfig/cron/v3, "Time zones"), GitHub moves it. `clock_changes` finds such dates.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Literal

from brownout.errors import EnvironmentProblem
from brownout.gameday.plan import Schedule

if TYPE_CHECKING:
    from cronsim import CronSim

EXTRA = "game days need more than the core of Brownout: pip install 'brownout[gameday]'"
YEARS_AHEAD = timedelta(days=5 * 366)
"""How far ahead changes of the clocks are looked for."""


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One date of a schedule. Both moments are in UTC: arithmetic in a zone of its own forgets that clocks change."""

    start: datetime
    end: datetime
    """Of the window: not part of it."""


@dataclass(frozen=True, slots=True)
class ClockChange:
    """A time on the wall that does not exist on its day, or that comes twice."""

    wall: datetime
    """Without a zone."""
    kind: Literal["skipped", "twice"]


@dataclass(frozen=True, slots=True)
class Fields:
    """What a cron expression says; every field that says nothing holds all its values."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    days: tuple[int, ...]
    months: tuple[int, ...]
    weekdays: tuple[int, ...]
    """0 is Sunday."""


def occurrences(schedule: Schedule, after: datetime, *, before: datetime) -> Iterator[Occurrence]:
    """Every occurrence that starts after one moment and before another, in order.

    Raises:
        EnvironmentProblem: the extra is not installed.
    """
    for start in _cronsim(schedule.cron, after.astimezone(schedule.zone)):
        if start >= before:
            return
        # In the hour that comes twice, cronsim does not tell its second time from its first.
        if start > after and _in_week(schedule, start):
            yield _occurrence(schedule, start)


def next_occurrence(schedule: Schedule, after: datetime) -> Occurrence | None:
    """The next one, within ten years; None where there is none."""
    return next(occurrences(schedule, after, before=after + timedelta(days=3653)), None)


def due(schedule: Schedule, now: datetime) -> Occurrence | None:
    """The occurrence in whose window this moment lies."""
    earliest = now - timedelta(seconds=schedule.window)
    found = [one for one in occurrences(schedule, earliest, before=now + timedelta(seconds=1)) if one.start <= now]
    return found[-1] if found else None


def clock_changes(schedule: Schedule, after: datetime, *, before: datetime) -> Iterator[ClockChange]:
    """The dates on which the schedule's hour does not exist, or comes twice."""
    first, last = (moment.astimezone(schedule.zone).replace(tzinfo=None) for moment in (after, before))
    for wall in _cronsim(schedule.cron, first):
        if wall >= last:
            return
        if not _in_week(schedule, wall):
            continue
        here = wall.replace(tzinfo=schedule.zone)
        if here.utcoffset() == here.replace(fold=1).utcoffset():
            continue
        exists = here.astimezone(UTC).astimezone(schedule.zone).replace(tzinfo=None) == wall
        yield ClockChange(wall, "twice" if exists else "skipped")


def fields(cron: str) -> Fields:
    """What the five fields say.

    Raises:
        ValueError: they are no cron expression.
        EnvironmentProblem: the extra is not installed.
    """
    parsed = _cronsim(cron, datetime(2024, 1, 1))
    days = {day for day in parsed.days if day > 0}
    weekdays = {day % 7 for day in parsed.weekdays if isinstance(day, int)}
    sets = (parsed.minutes, parsed.hours, days, parsed.months, weekdays)
    return Fields(*(tuple(sorted(one)) for one in sets))


def _cronsim(cron: str, after: datetime) -> "CronSim":
    try:
        from cronsim import CronSim, CronSimError  # noqa: PLC0415 - the extra
    except ImportError as error:
        raise EnvironmentProblem(EXTRA) from error
    try:
        return CronSim(cron, after)
    except CronSimError as error:
        raise ValueError(str(error)) from error


def _in_week(schedule: Schedule, wall: datetime) -> bool:
    return schedule.week is None or (wall.day - 1) // 7 + 1 == schedule.week


def _occurrence(schedule: Schedule, start: datetime) -> Occurrence:
    begins = start.astimezone(UTC)
    return Occurrence(begins, begins + timedelta(seconds=schedule.window))
