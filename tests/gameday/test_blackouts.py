"""When no drill may be."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.errors import InvalidInput, Location
from brownout.gameday.blackouts import closures
from brownout.gameday.plan import Blackout, ClosedCalendar, ClosedDays, MonthEnd
from tests.gameday.plans import BERLIN, calendar, event

MINUTE = timedelta(minutes=1)


def closed(blackout: Blackout, at: datetime) -> bool:
    return bool(closures([blackout], at, at + MINUTE, zone=BERLIN))


def berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN)


@pytest.mark.parametrize(
    ("at", "there"),
    [
        ("2027-12-23T23:58", False),
        ("2027-12-24T00:00", True),
        ("2027-12-26T23:59", True),
        ("2027-12-27T00:00", False),
    ],
)
def test_days_are_those_of_the_plan_s_zone(at: str, there: bool) -> None:
    assert closed(ClosedDays(date(2027, 12, 24), date(2027, 12, 26), "Christmas"), berlin(at)) is there


def test_a_drill_that_reaches_into_a_blackout_is_in_it() -> None:
    christmas = ClosedDays(date(2027, 12, 24), date(2027, 12, 26), "Christmas")
    start = berlin("2027-12-23T23:00")
    assert not closures([christmas], start, start + timedelta(hours=1), zone=BERLIN)
    (found,) = closures([christmas], start, start + timedelta(hours=2), zone=BERLIN)
    assert found.why == "Christmas"


@given(st.dates(date(2024, 1, 1), date(2032, 12, 31)), st.integers(1, 5), st.integers(0, 5))
def test_a_month_ends_on_its_last_days_and_the_first_of_the_next(day: date, before: int, after: int) -> None:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=BERLIN)
    is_last = any((day + timedelta(n)).day == 1 for n in range(1, before + 1))
    assert closed(MonthEnd(before, after, "month-end"), noon) is (is_last or day.day <= after)


def from_file(folder: Path, *events: str, why: str | None = None) -> ClosedCalendar:
    path = folder / "launches.ics"
    path.write_text(calendar(*events), encoding="utf-8")
    return ClosedCalendar(path, Location("plan.yaml"), why)


def test_whole_days_of_a_calendar_are_those_of_the_plan_s_zone(tmp_path: Path) -> None:
    launch = from_file(
        tmp_path, event(DTSTART__VALUE_DATE="20270412", DTEND__VALUE_DATE="20270417", SUMMARY="Spring launch")
    )
    assert not closed(launch, berlin("2027-04-11T23:58"))
    assert closed(launch, berlin("2027-04-12T00:00"))
    assert closed(launch, berlin("2027-04-16T23:59"))
    assert not closed(launch, berlin("2027-04-17T00:00"))
    (found,) = closures([launch], berlin("2027-04-13T12:00"), berlin("2027-04-13T13:00"), zone=BERLIN)
    assert found.why == "Spring launch"


def test_a_time_without_a_zone_is_one_on_the_plan_s_wall(tmp_path: Path) -> None:
    launch = from_file(tmp_path, event(DTSTART="20270412T100000", DTEND="20270412T110000"))
    assert closed(launch, berlin("2027-04-12T10:30"))
    assert not closed(launch, datetime(2027, 4, 12, 10, 30, tzinfo=UTC))


def test_a_series_goes_on_but_for_its_exceptions(tmp_path: Path) -> None:
    weekly = event(DTSTART="20270301T090000Z", DTEND="20270301T100000Z", RRULE="FREQ=WEEKLY", EXDATE="20270315T090000Z")
    launch = from_file(tmp_path, weekly, why="release train")
    mondays = [datetime(2027, 3, day, 9, 30, tzinfo=UTC) for day in (1, 8, 15, 22)]
    assert [closed(launch, one) for one in mondays] == [True, True, False, True]
    assert closures([launch], mondays[0], mondays[0] + MINUTE, zone=BERLIN)[0].why == "release train"


def test_what_was_cancelled_closes_nothing(tmp_path: Path) -> None:
    launch = from_file(tmp_path, event(DTSTART="20270301T090000Z", DTEND="20270301T100000Z", STATUS="CANCELLED"))
    assert not closed(launch, datetime(2027, 3, 1, 9, 30, tzinfo=UTC))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no calendar", "this is no iCalendar file"),
        ("", "this is no iCalendar file"),
        ("BEGIN:VEVENT\nEND:VEVENT\n", "expected an iCalendar file with one VCALENDAR, got a VEVENT"),
        (calendar(event(DTSTART="yesterday")), "an event makes no sense"),
        (calendar(event(SUMMARY="never")), "an event makes no sense"),
    ],
    ids=["text", "empty", "an event alone", "a broken date", "no date"],
)
def test_a_calendar_that_cannot_be_read_is_refused_not_passed_over(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "launches.ics"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(InvalidInput, match=said) as caught:
        closed(ClosedCalendar(path, Location("plan.yaml")), datetime(2027, 3, 1, tzinfo=UTC))
    assert str(path) in str(caught.value)
