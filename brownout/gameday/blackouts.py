"""When no drill may be: days, month ends, launch weeks, and whatever stands in a calendar file.

Days are those of the plan's own time zone, from midnight to midnight on the wall. Calendar files (RFC 5545) are read by
icalendar (BSD-2), and their recurrences unrolled by recurring-ical-events (LGPL-3.0), which knows exceptions, moved
events and time zones; both are maintained.
"""

import calendar
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from brownout.errors import EnvironmentProblem, InvalidInput, Location, said
from brownout.gameday.plan import Blackout, ClosedCalendar, ClosedDays, MonthEnd
from brownout.gameday.schedule import EXTRA
from brownout.yamlsource import printable_path, read_source

if TYPE_CHECKING:
    from icalendar import Calendar

MAX_CALENDAR = 4 * 1024 * 1024
"""Bytes of a calendar file."""
MAX_WHY = 120
"""Characters of an event's own name that are shown."""


@dataclass(frozen=True, slots=True)
class Closure:
    """A stretch of time without drills."""

    start: datetime
    end: datetime
    """Not part of it."""
    why: str


def closures(blackouts: Sequence[Blackout], start: datetime, end: datetime, *, zone: ZoneInfo) -> list[Closure]:
    """Every closure that shares a moment with the time from `start` to `end`, in order.

    Raises:
        InvalidInput: a calendar file cannot be read.
        EnvironmentProblem: the extra is not installed.
    """
    found: list[Closure] = []
    for blackout in blackouts:
        match blackout:
            case ClosedDays():
                found.append(_days(blackout.first, blackout.last, blackout.why, zone))
            case MonthEnd():
                found += _month_ends(blackout, start.astimezone(zone).date(), end.astimezone(zone).date(), zone)
            case ClosedCalendar():
                found += _events(blackout, start, end, zone)
    return sorted(
        (one for one in found if one.start < end and start < one.end), key=lambda one: (one.start, one.end, one.why)
    )


def _days(first: date, last: date, why: str, zone: ZoneInfo) -> Closure:
    return Closure(_midnight(first, zone), _midnight(last + timedelta(days=1), zone), why)


def _midnight(day: date, zone: ZoneInfo) -> datetime:
    return datetime.combine(day, time(), zone).astimezone(UTC)


def _month_ends(rule: MonthEnd, first: date, last: date, zone: ZoneInfo) -> Iterator[Closure]:
    # From the month before, whose end may reach into this one.
    month = (first.replace(day=1) - timedelta(days=1)).replace(day=1)
    while month <= last:
        final = month.replace(day=calendar.monthrange(month.year, month.month)[1])
        begins = final - timedelta(days=rule.before - 1)
        yield _days(begins, final + timedelta(days=rule.after), rule.why, zone)
        month = final + timedelta(days=1)


def _events(blackout: ClosedCalendar, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[Closure]:
    parsed = _parsed(blackout)
    from recurring_ical_events import of  # noqa: PLC0415 - the extra

    # A day's margin: whole days and floating times are asked for by the clock in UTC.
    margin = timedelta(days=1)
    try:
        events = of(parsed, skip_bad_series=False).between(start - margin, end + margin)
    except (ValueError, TypeError, KeyError, ArithmeticError) as error:
        # Not skipped: a launch that cannot be read is a launch all the same.
        raise InvalidInput(f"an event makes no sense: {said(error)}", at=_top(blackout)) from error
    for event in events:
        if str(event.get("STATUS", "")).upper() == "CANCELLED":
            continue
        summary = " ".join(str(event.get("SUMMARY", "an event without a name")).split())[:MAX_WHY]
        yield Closure(_moment(event.start, zone), _moment(event.end, zone), blackout.why or summary)


def _moment(when: date | datetime, zone: ZoneInfo) -> datetime:
    if not isinstance(when, datetime):
        return _midnight(when, zone)
    # A time without a zone is one on the wall, wherever that hangs (RFC 5545, 3.3.5, form 1).
    return (when if when.tzinfo is not None else when.replace(tzinfo=zone)).astimezone(UTC)


def _parsed(blackout: ClosedCalendar) -> "Calendar":
    try:
        from icalendar import Calendar  # noqa: PLC0415 - the extra
    except ImportError as error:
        raise EnvironmentProblem(EXTRA) from error
    text = read_source(blackout.path, limit=MAX_CALENDAR)
    try:
        parsed = Calendar.from_ical(text)
    except (ValueError, IndexError, KeyError) as error:
        raise InvalidInput(f"this is no iCalendar file: {error}", at=_top(blackout)) from error
    if parsed.name != "VCALENDAR":
        msg = f"expected an iCalendar file with one VCALENDAR, got a {parsed.name}"
        raise InvalidInput(msg, at=_top(blackout))
    return parsed


def _top(blackout: ClosedCalendar) -> Location:
    return Location(printable_path(blackout.path))
