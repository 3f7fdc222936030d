"""When drills are due, on the days on which clocks change as well."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.gameday.plan import Schedule
from brownout.gameday.schedule import clock_changes, due, next_occurrence, occurrences
from tests.gameday.plans import BERLIN

NIGHTS = Schedule("30 2 * * *", BERLIN, window=1800)
ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Asia/Kathmandu", "UTC")


def walls(schedule: Schedule, first: datetime, last: datetime) -> list[str]:
    found = occurrences(schedule, first.replace(tzinfo=schedule.zone), before=last.replace(tzinfo=schedule.zone))
    return [f"{one.start.astimezone(schedule.zone):%m-%d %H:%M %Z}" for one in found]


def test_the_hour_that_is_skipped_is_made_up_for_at_its_end() -> None:
    found = walls(NIGHTS, datetime(2027, 3, 27), datetime(2027, 3, 30))
    assert found == ["03-27 02:30 CET", "03-28 03:00 CEST", "03-29 02:30 CEST"]


def test_the_hour_that_comes_twice_is_one_date() -> None:
    found = walls(NIGHTS, datetime(2027, 10, 30), datetime(2027, 11, 1, 12))
    assert found == ["10-30 02:30 CEST", "10-31 02:30 CEST", "11-01 02:30 CET"]


def test_dates_that_clocks_make_doubtful_are_found() -> None:
    found = clock_changes(NIGHTS, datetime(2027, 1, 1, tzinfo=UTC), before=datetime(2028, 1, 1, tzinfo=UTC))
    assert [(f"{one.wall:%m-%d %H:%M}", one.kind) for one in found] == [
        ("03-28 02:30", "skipped"),
        ("10-31 02:30", "twice"),
    ]
    three = Schedule("0 3 * * SUN", BERLIN)
    assert not list(clock_changes(three, datetime(2027, 1, 1, tzinfo=UTC), before=datetime(2033, 1, 1, tzinfo=UTC)))


def test_a_week_of_the_month_is_the_nth_such_day() -> None:
    second = Schedule("0 3 * * SUN", BERLIN, week=2)
    assert walls(second, datetime(2027, 1, 1), datetime(2027, 5, 1)) == [
        "01-10 03:00 CET",
        "02-14 03:00 CET",
        "03-14 03:00 CET",
        "04-11 03:00 CEST",
    ]


def test_a_leap_day_comes_every_four_years() -> None:
    leap = Schedule("0 12 29 2 *", ZoneInfo("UTC"))
    assert next_occurrence(leap, datetime(2027, 1, 1, tzinfo=UTC)).start.year == 2028  # type: ignore[union-attr]
    # 2100 is no leap year.
    assert next_occurrence(leap, datetime(2097, 1, 1, tzinfo=UTC)).start.year == 2104  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("minutes", "there"), [(-1, False), (0, True), (29, True), (30, False)], ids=["before", "at", "within", "after"]
)
def test_a_date_is_due_from_its_start_until_its_window_closes(minutes: int, there: bool) -> None:
    start = datetime(2027, 6, 6, 2, 30, tzinfo=BERLIN).astimezone(UTC)
    found = due(NIGHTS, start + timedelta(minutes=minutes))
    assert (found is not None) is there
    if found is not None:
        assert found.start == start
        assert found.end == start + timedelta(minutes=30)


def test_a_window_is_as_long_on_a_night_on_which_clocks_change() -> None:
    long = Schedule("0 0 * * *", BERLIN, window=6 * 3600)
    for day in (datetime(2027, 3, 28, tzinfo=BERLIN), datetime(2027, 10, 31, tzinfo=BERLIN)):
        found = due(long, day.astimezone(UTC) + timedelta(hours=5, minutes=59))
        assert found is not None
        assert due(long, day.astimezone(UTC) + timedelta(hours=6)) is None


@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    start=st.datetimes(datetime(2024, 1, 1), datetime(2030, 1, 1)),
)
def test_every_day_on_the_wall_has_one_date(zone: str, hour: int, minute: int, start: datetime) -> None:
    schedule = Schedule(f"{minute} {hour} * * *", ZoneInfo(zone))
    first = start.replace(tzinfo=UTC)
    found = [one.start.astimezone(schedule.zone) for one in occurrences(schedule, first, before=first + timedelta(40))]
    days = [one.date() for one in found]
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    assert len(days) in (39, 40, 41)
    # Each is what was asked for, but where that time does not exist.
    doubtful = {one.wall.date() for one in clock_changes(schedule, first, before=first + timedelta(41))}
    assert all((one.hour, one.minute) == (hour, minute) for one in found if one.date() not in doubtful)


@given(
    zone=st.sampled_from(ZONES), hour=st.integers(0, 23), at=st.datetimes(datetime(2026, 1, 1), datetime(2028, 1, 1))
)
def test_what_is_due_is_one_of_the_dates_and_the_other_way_round(zone: str, hour: int, at: datetime) -> None:
    schedule, now = Schedule(f"30 {hour} * * *", ZoneInfo(zone), window=3 * 3600), at.replace(tzinfo=UTC)
    around = list(occurrences(schedule, now - timedelta(days=2), before=now + timedelta(days=2)))
    assert due(schedule, now) == next((one for one in around if one.start <= now < one.end), None)
