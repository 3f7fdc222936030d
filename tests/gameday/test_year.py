"""A year on virtual time: every drill that should start starts once, and none else.

What should start is worked out here day by day, from the calendar alone; whoever starts drills is an engine that does
it twice, at an hour that is wrong half of the year, and on days that are none of the plan's.
"""

import asyncio
import calendar
from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from brownout.errors import InvalidInput
from brownout.gameday import schedule as schedules
from brownout.gameday.abort import Abort
from brownout.gameday.blackouts import closures
from brownout.gameday.governance import Facts, PastDrill, permit
from brownout.gameday.journal import Journal
from brownout.gameday.plan import Blackout, ClosedDays, GameDay, MonthEnd, Schedule
from brownout.gameday.start import Start, start
from tests.gameday.plans import TEXT, Ticking, event, plan, written
from tests.gameday.plans import calendar as ics
from tests.gameday.test_start import QuickStage

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Havana", "Pacific/Apia", "UTC")


def days_of(year: int) -> Iterator[date]:
    day = date(year, 1, 1)
    while day.year == year:
        yield day
        day += timedelta(days=1)


def is_month_end(day: date, before: int, after: int) -> bool:
    return day.day > calendar.monthrange(day.year, day.month)[1] - before or day.day <= after


def fires(zone: ZoneInfo, year: int, hour: int) -> list[datetime]:
    """When an engine fires that knows the zone's offsets of January and of July, and not when they change."""
    offsets = {datetime(year, month, 1, tzinfo=zone).utcoffset() for month in (1, 7)}
    return sorted(
        datetime.combine(day, time(hour), UTC) - offset
        for day in days_of(year)
        for offset in offsets
        if offset is not None
    )


@settings(max_examples=12, phases=[Phase.explicit, Phase.generate])
@given(
    zone=st.sampled_from(ZONES),
    hour=st.integers(0, 21),
    weekday=st.integers(0, 6),
    week=st.sampled_from([None, 1, 2, 3, 4]),
    year=st.integers(2024, 2032),
    month_end=st.none() | st.tuples(st.integers(1, 4), st.integers(0, 3)),
    closed=st.lists(st.tuples(st.integers(0, 360), st.integers(0, 20)), max_size=4),
)
def test_every_drill_that_should_start_starts_once_and_none_else(
    *,
    zone: str,
    hour: int,
    weekday: int,
    week: int | None,
    year: int,
    month_end: tuple[int, int] | None,
    closed: list[tuple[int, int]],
) -> None:
    shut = [(date(year, 1, 1) + timedelta(first), date(year, 1, 1) + timedelta(first + more)) for first, more in closed]
    blackouts: list[Blackout] = [ClosedDays(first, last, "closed") for first, last in shut]
    blackouts += [MonthEnd(*month_end, "month-end")] if month_end else []
    expected = [
        day
        for day in days_of(year)
        if day.isoweekday() % 7 == weekday
        and (week is None or (day.day - 1) // 7 + 1 == week)
        and not (month_end and is_month_end(day, *month_end))
        and not any(first <= day <= last for first, last in shut)
    ]
    one = plan(schedule=Schedule(f"0 {hour} * * {weekday}", ZoneInfo(zone), week=week), blackouts=tuple(blackouts))
    assert list(started_in(one, fires(one.schedule.zone, year, hour))) == expected


def started_in(one: GameDay, moments: list[datetime]) -> Iterator[date]:
    """The days on which the rules let a drill start, of an engine that fires twice each time."""
    past: list[PastDrill] = []
    for moment in (again for at in moments for again in (at, at + timedelta(seconds=30))):
        due = schedules.due(one.schedule, moment)
        until = moment if due is None else due.end
        known = Facts(
            runbook_found=True,
            due=due,
            upcoming=None,
            closures=closures(one.blackouts, moment, until, zone=one.schedule.zone),
            checked_in={"Grace": moment},
            past=past[-3:],
        )
        if permit(one, moment, known).permitted:
            assert due is not None
            past.append(PastDrill(f"d{len(past)}", one.name, "over", scheduled=due.start))
            yield moment.astimezone(one.schedule.zone).date()


def started(asked: Start, clock: Ticking, stage: QuickStage) -> int:
    async def play() -> int:
        return await start(asked, now=clock, say=lambda _: None, stage=lambda *_: stage, abort=Abort(clock))

    return asyncio.run(play())


def test_a_leap_year_of_the_whole_thing_from_the_file_to_the_journal(tmp_path: Path) -> None:
    year = 2028
    path = written(tmp_path, TEXT.replace("2027-07-01", "2028-07-01").replace("2027-07-14", "2028-07-14"))
    train = event(DTSTART__VALUE_DATE="20270213", DTEND__VALUE_DATE="20270214", RRULE="FREQ=YEARLY", SUMMARY="Carnival")
    (tmp_path / "launches.ics").write_text(ics(train), encoding="utf-8")
    shut = {date(year, 2, 13), *(date(year, 7, 1) + timedelta(n) for n in range(14))}
    expected = [day for day in days_of(year) if day.isoweekday() == 7 and 8 <= day.day <= 14 and day not in shut]
    assert len(expected) == 10
    berlin, clock, begun = ZoneInfo("Europe/Berlin"), Ticking(), []
    for moment in fires(berlin, year, 3):
        if moment.isoweekday() != 7:
            continue
        clock.at = moment
        if 8 <= moment.day <= 14:
            with Journal.open() as journal:
                journal.check_in("sunday", "Grace", moment)
        stage = QuickStage(clock)
        asked = Start(file=path, instance="default", runs_dir=tmp_path / "runs", if_due=True)
        assert started(asked, clock, stage) == 0
        if stage.did:
            begun.append(moment.astimezone(berlin).date())
            with Journal.open() as journal:
                journal.review(journal.drills()[-1].id, by="Joan", at=clock())
    assert begun == expected
    with Journal.open() as journal:
        assert len(journal.drills()) == len(expected)


def test_a_review_that_nobody_did_ends_the_programme(tmp_path: Path) -> None:
    path, clock = written(tmp_path, TEXT.replace(", week: 2", "")), Ticking()
    asked = Start(file=path, instance="default", runs_dir=tmp_path / "runs", if_due=True)

    def sunday(day: int) -> int:
        clock.at = datetime(2027, 5, day, 1, 0, tzinfo=UTC)
        with Journal.open() as journal:
            journal.check_in("sunday", "Grace", clock())
        return started(asked, clock, QuickStage(clock))

    assert sunday(9) == 0
    for day in (16, 23):
        with pytest.raises(InvalidInput, match="review: the review of drill 2027-05-09T01-00-00Z-sunday has been due"):
            sunday(day)
