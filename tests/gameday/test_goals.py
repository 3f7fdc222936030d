"""What TTD, TTM, recovery and the goals' verdicts come to, from marks and evidence."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout import process
from brownout.evidence import FaultSpan, Request
from brownout.evidence.store import EvidenceWriter
from brownout.gameday.goals import Measured, Noticed, StepTimes, measured, of_drill, verdicts
from brownout.gameday.journal import Journal
from brownout.gameday.levels import Levels, Spell, spell
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import Mark, NewDrill, StepRow
from brownout.gameday.steptimes import times_of
from brownout.report.budget import Objective
from brownout.units import Share
from tests.evidence.making import evenly, info, request
from tests.gameday.plans import EXPERIMENT, NOON

LEVELS = Levels(Objective(Share(0.999)), 0.5)


def at(seconds: float) -> datetime:
    """So long after the fault was on."""
    return NOON + timedelta(seconds=seconds)


def step(**changes: object) -> StepTimes:
    """A fault that was on for a minute, broke the levels after a second, and after which all was well."""
    standard: dict[str, object] = {
        "number": 1,
        "experiment": "one.yaml",
        "fault_on": at(0),
        "fault_off": at(60),
        "broken": at(1),
        "whole": at(64),
        "levels_seen": True,
        "until": at(120),
    }
    return StepTimes(**{**standard, **changes})  # type: ignore[arg-type]


def person(seconds: float, kind: str = "detected", *, of: int = 1, by: str = "Hedy") -> Mark:
    return Mark(of, kind, "person", by, at(seconds))  # type: ignore[arg-type]


def alert(seconds: float, since: float, *, of: int = 1) -> Mark:
    return Mark(of, "detected", "alert", "AvailabilityBurnsFast", at(seconds), since=at(since))


def outcomes(found: Measured, *, detect: float = 300, mitigate: float = 900) -> tuple[str, str]:
    detected, mitigated = verdicts(found, detect=detect, mitigate=mitigate)
    return detected.outcome, mitigated.outcome


def test_whoever_was_first_counts_and_the_others_keep_their_times() -> None:
    found = measured(step(), [person(14), alert(9, since=7), alert(29, since=7), person(20)])
    assert found.ttd == 9
    assert found.detections == (
        Noticed("alert", "AvailabilityBurnsFast", 9),
        Noticed("person", "Hedy", 14),
    )


def test_an_alert_that_was_firing_before_the_fault_detects_nothing() -> None:
    assert measured(step(), [alert(5, since=-1), person(-3), person(8, of=2)]).ttd is None


def test_the_system_that_holds_again_under_the_fault_has_mitigated_it() -> None:
    found = measured(step(held_under_fault=at(4)), [person(30, "mitigated")])
    assert found.mitigated_by == Noticed("system", "the system itself", 4)
    assert (found.ttm, found.recovery, found.by_itself) == (4, 4, False)
    assert measured(step(held_under_fault=at(4)), []).by_itself is True


def test_what_was_aborted_did_not_recover_by_itself_and_what_never_came_back_is_not_known() -> None:
    assert measured(step(aborted=True), []).by_itself is False
    assert measured(step(whole=None), []).by_itself is None
    assert measured(step(whole=None), []).recovery is None


def test_a_goal_is_met_missed_or_not_measured() -> None:
    marks = [alert(9, since=7), person(50, "mitigated")]
    assert outcomes(measured(step(), marks)) == ("met", "met")
    assert outcomes(measured(step(), marks), detect=8, mitigate=49) == ("missed", "missed")
    assert outcomes(measured(step(), [])) == ("not measured", "not measured")


def test_a_goal_for_which_was_waited_in_vain_is_missed() -> None:
    assert outcomes(measured(step(), []), detect=120, mitigate=60) == ("missed", "missed")
    assert outcomes(measured(step(), []), detect=121, mitigate=61) == ("not measured", "not measured")


def test_where_nothing_broke_there_was_nothing_to_mitigate() -> None:
    (_, mitigated) = verdicts(measured(step(broken=None), []), detect=1, mitigate=1)
    assert (mitigated.outcome, mitigated.why) == (
        "not measured",
        "no service level broke: there was nothing to mitigate",
    )


def test_a_step_without_evidence_says_why_nothing_was_measured() -> None:
    found = measured(StepTimes(number=1, experiment="one.yaml", why="it left no run folder"), [person(3)])
    assert [one.why for one in verdicts(found, detect=1, mitigate=1)] == ["it left no run folder"] * 2
    assert (found.ttd, found.ttm, found.recovery, found.by_itself, found.spent) == (None, None, None, None, None)


MARKS = st.lists(
    st.builds(
        Mark,
        st.integers(1, 2),
        st.sampled_from(["detected", "mitigated"]),
        st.sampled_from(["alert", "person"]),
        st.sampled_from(["Ada", "Hedy"]),
        st.integers(-20, 200).map(at),
        st.none() | st.integers(-20, 200).map(at),
    )
)
GOALS = st.integers(1, 300).map(float)


@given(MARKS, GOALS, GOALS, st.none() | st.integers(2, 59).map(at))
def test_no_goal_is_met_without_a_figure_and_none_is_met_late(
    marks: list[Mark], detect: float, mitigate: float, held: datetime | None
) -> None:
    found = measured(step(held_under_fault=held), marks)
    for verdict, figure in zip(verdicts(found, detect=detect, mitigate=mitigate), (found.ttd, found.ttm), strict=True):
        assert verdict.figure == figure
        assert (verdict.outcome == "met") == (figure is not None and figure <= verdict.within)
        assert figure is None or figure >= 0
    assert measured(step(held_under_fault=held), marks[::-1]).ttd == found.ttd


# -- the levels ----------------------------------------------------------------------------------------------------


def flow(bad: Sequence[tuple[float, float]] = (), **how: object) -> list[Request]:
    """Ten requests a second for a minute, bad ones in these stretches."""
    wrong = how or {"outcome": "error"}
    return [
        request(n, n / 10, **(wrong if any(start <= n / 10 < end for start, end in bad) else {})) for n in range(600)
    ]


def test_levels_break_with_the_first_bad_request_and_hold_after_the_last() -> None:
    assert spell(flow([(12, 15)]), LEVELS, start=10, end=60) == Spell(True, 12, 15)
    assert spell(flow([(12, 13), (20, 21)]), LEVELS, start=10, end=60) == Spell(True, 12, 21)


def test_levels_that_never_broke_held_from_the_start() -> None:
    assert spell(flow(), LEVELS, start=10, end=60) == Spell(True, None, 10)


def test_levels_that_are_broken_at_the_end_did_not_hold() -> None:
    assert spell(flow([(12, 60)]), LEVELS, start=10, end=60) == Spell(True, 12, None)


def test_one_slow_answer_in_twenty_is_allowed_and_two_are_not() -> None:
    assert spell(flow([(12, 12.1)], ttft=0.6), LEVELS, start=10, end=60).broken is None
    assert spell(flow([(12, 12.2)], ttft=0.6), LEVELS, start=10, end=60).broken == 12


def test_too_few_requests_tell_nothing() -> None:
    assert spell(evenly(19, end=60), LEVELS, start=0, end=60) == Spell(False)


@given(st.lists(st.integers(100, 599), max_size=20))
def test_nothing_bad_lies_outside_of_when_the_levels_were_broken(numbers: list[int]) -> None:
    rows = [request(n, n / 10, **({"outcome": "cut"} if n in numbers else {})) for n in range(600)]
    found = spell(rows, LEVELS, start=10, end=60)
    # The last nineteen requests begin no stretch of twenty, but are in one.
    assert found.broken == (min(numbers) / 10 if numbers else None)
    if found.held is not None:
        assert all(n / 10 < found.held for n in numbers)


# -- from a drill's folders ----------------------------------------------------------------------------------------


def evidence(folder: Path, requests: Sequence[Request], *, off: float | None = 30.0) -> None:
    """A run whose fault was on from 10 s to 30 s."""
    folder.mkdir()

    async def write() -> None:
        told = info(experiment_source=EXPERIMENT, started_at=NOON.timestamp() - 10)
        async with EvidenceWriter(folder / "evidence.sqlite", told) as writer:
            for row in (FaultSpan(0, "latency", "vector-db is slow", 10.0, off), *requests):
                writer.write(row)

    asyncio.run(write())


def test_a_drill_is_measured_from_its_folders_and_its_minutes(tmp_path: Path) -> None:
    evidence(tmp_path / "first", flow([(12, 15)]))
    with Journal.open() as journal, Minutes.open() as minutes:
        journal.begin(new_drill(tmp_path), ())
        for number, folder in ((1, tmp_path / "first"), (2, tmp_path / "gone")):
            journal.begin_step("d1", number, phase="one", experiment="one.yaml", at=at(60 * number - 70))
            journal.end_step("d1", number, outcome="failed", folder=str(folder), at=at(60 * number - 20))
        journal.end("d1", outcome="failed", said=None, at=at(200))
        minutes.mark("d1", alert(7.5, since=6))
        first, second = of_drill(journal, minutes, "d1")
    assert (first.step, first.ttd, first.ttm, first.recovery, first.by_itself) == (1, 7.5, 5, 0, True)
    assert first.times.broken == at(2)
    assert first.times.until == at(50)
    assert first.times.burnt is not None
    assert (first.times.burnt.bad, first.times.burnt.of) == (30, 600)
    assert first.spent == pytest.approx(3, rel=0.02)
    assert (second.ttd, second.times.until) == (None, at(200))
    assert "gone is no run" in second.times.why


def test_a_fault_that_breaks_no_level_is_neither_broken_nor_mitigated(tmp_path: Path) -> None:
    evidence(tmp_path / "run", flow())
    row = StepRow(1, "one", "one.yaml", at(-10), at(50), "passed", str(tmp_path / "run"))
    times = times_of(row, until=None)
    assert (times.fault_on, times.fault_off, times.whole, times.levels_seen) == (at(0), at(20), at(20), True)
    assert (times.broken, times.held_under_fault) == (None, None)


def test_of_a_run_that_was_killed_is_known_when_it_broke_and_no_more(tmp_path: Path) -> None:
    evidence(tmp_path / "run", flow([(12, 15)]), off=None)
    row = StepRow(1, "one", "one.yaml", at(-10), None, None, str(tmp_path / "run"))
    found = measured(times_of(row, until=None), [person(4)])
    assert (found.times.broken, found.times.fault_off, found.times.whole) == (at(2), None, None)
    assert (found.ttd, found.ttm, found.recovery, found.by_itself) == (4, None, None, None)
    assert [one.outcome for one in verdicts(found, detect=5, mitigate=1)] == ["met", "not measured"]


def new_drill(folder: Path) -> NewDrill:
    return NewDrill(
        id="d1",
        plan="sunday",
        title="A Sunday night",
        source="",
        target="embedded",
        instance="default",
        folder=str(folder),
        commander="Ada",
        abort_holder="Grace",
        process=process.current(),
        review_within=3600,
        scheduled=None,
        started=at(-20),
    )
