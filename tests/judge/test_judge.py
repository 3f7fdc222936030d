"""The verdict on a run: every rule by which one comes before another, and that a file gives the same as the run did."""

import asyncio
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brownout import registry
from brownout.errors import EXIT_ABORTED, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_PASSED, Location
from brownout.evidence import Proof, Recording, Window
from brownout.evidence.store import EvidenceWriter, read_run, recorded
from brownout.experiment import Check, Experiment, Load, Step
from brownout.judge import BLOCKS, Judgement, judge, judge_abort, judge_block, windows
from brownout.probe import Verdict
from brownout.units import Duration
from tests.evidence.making import evenly, fill, info, record, request
from tests.judge.runs import PROVED, judged, record_run, shipped

HERE = Location("drill.yaml")
DRILL: Experiment = replace(shipped(), steady_state=(), during=(), after=(), abort=())


def check(probe: str, **arguments: object) -> Check:
    return Check(probe, arguments, f"{probe}: ...", HERE)


def says(outcome: Any) -> Any:
    """A probe of a fixed opinion."""
    return lambda window: Verdict(outcome, "42", "at least 40", len(window.requests))


def raises(window: Window) -> Verdict:
    msg = "no such column"
    raise LookupError(msg)


PROBES = {name: says(name) for name in ("passed", "failed", "inconclusive")} | {"raises": raises}


def recording(*, proof: Proof | None = PROVED, on: float = 10.02, off: float | None = 30.04) -> Recording:
    made = Recording()
    for each in evenly(1200, end=60.0):
        made.add_request(each)
    made.fault_on(0, "partition", "partition gateway → vector-db", on)
    if off is not None:
        made.fault_off(0, off, proof)
    return made


def verdict(
    made: Recording,
    *,
    before: str = "passed",
    during: str = "passed",
    after: str = "passed",
    aborted: str | None = None,
    errors: tuple[str, ...] = (),
    experiment: Experiment = DRILL,
) -> Judgement:
    drill = replace(
        experiment, steady_state=(check(before),), during=(check(during),), after=(check(after), check("passed"))
    )
    return judge(drill, made, probes=PROBES.__getitem__, aborted=aborted, errors=errors, end=60.0)


def outcomes(judgement: Judgement) -> dict[str, list[str]]:
    return {block: [one.verdict.outcome for one in judgement.judged if one.block == block] for block in BLOCKS}


# -- windows -----------------------------------------------------------------------------------------------------------


def test_windows_are_cut_where_the_fault_was_really_on_and_really_off() -> None:
    cut = windows(DRILL, recording(), end=60.5)
    assert {block: window and (window.start, window.end) for block, window in cut.items()} == {
        "steady-state before": (0.0, 10.02),
        "during": (10.02, 30.04),
        "after": (30.04, 60.5),
        "steady-state after": (50.5, 60.5),
    }


def test_questions_under_way_as_the_fault_came_on_say_nothing_of_the_steady_state() -> None:
    made = Recording()
    record_run(made)
    # Sent 0.4 s before the fault, these were still waiting for their answers as it came on.
    for number in range(10):
        made.add_request(request(5000 + number, 9.6 + number / 100, outcome="error", ttft=None, total=1.0))
    # It was injected from 10 s on, and said to be on at 10.02 s; these it had cut by then.
    for number in range(10):
        made.add_request(request(6000 + number, 9.9, outcome="cut", total=0.105 + number / 1000))
    assert judged(made).outcome == "passed"
    before = windows(DRILL, made)["steady-state before"]
    assert before is not None
    assert max(request.done or 0.0 for request in before.requests) <= 10.0


def test_long_answers_are_under_way_for_longer() -> None:
    made = Recording()
    record_run(made)
    for number in range(100):
        made.add_request(request(5000 + number, 6.1 + number / 30, outcome="cut", total=4.0))
    assert judged(made).outcome == "passed"


def test_answers_that_hang_before_the_fault_are_not_taken_for_ones_that_met_it() -> None:
    made = Recording()
    record_run(made)
    for number in range(100):
        made.add_request(request(5000 + number, number / 20, outcome="timeout", ttft=None, total=30.0))
    outcome = judged(made)
    assert outcome.outcome == "inconclusive"
    assert "no steady state to start from" in outcome.reasons[0]


def test_overlapping_faults_make_one_window_from_the_first_on_to_the_last_off() -> None:
    made = recording()
    made.fault_on(1, "latency", "latency", 5.0)
    made.fault_off(1, 42.0, PROVED)
    cut = windows(DRILL, made, end=60.0)
    assert cut["during"] is not None
    assert cut["after"] is not None
    assert (cut["during"].start, cut["during"].end, cut["after"].start) == (5.0, 42.0, 42.0)


def test_without_a_fault_there_is_no_during_and_no_after() -> None:
    cut = windows(DRILL, Recording())
    assert (cut["during"], cut["after"]) == (None, None)
    assert cut["steady-state before"] is not None
    assert cut["steady-state before"].end == DRILL.first_fault


def test_a_run_that_ended_before_its_first_fault_has_a_short_steady_state() -> None:
    cut = windows(DRILL, Recording(), end=4.0)
    assert cut["steady-state before"] is not None
    assert cut["steady-state before"].end == 4.0
    # What was judged before is not judged once more as if it were the end.
    assert cut["steady-state after"] is None


SPIKE = Load(name="spike", at=Duration(10.0), for_=Duration(20.0))
STORM: Experiment = replace(DRILL, method=(), load=(Load(name="quiet"), SPIKE))


def test_a_spike_of_load_stands_for_the_fault_of_an_experiment_without_one() -> None:
    assert (STORM.first_fault, STORM.last_heal) == (10.0, 30.0)
    assert verdict(recording(), experiment=STORM).outcome == "passed"
    cut = windows(STORM, recording())
    assert cut["during"] is not None
    assert (cut["during"].start, cut["during"].end) == (10.02, 30.04)
    # Beside a fault it is load like any other.
    assert replace(STORM, method=DRILL.method).spikes == ()
    assert replace(DRILL, method=(), load=(Load(),)).spikes == ()


@pytest.mark.parametrize(
    ("made", "says"),
    [
        (Recording(), "load spike: 20/s: no fault was injected"),
        (recording(off=None), "load spike: 20/s: it was never off"),
        (recording(proof=Proof(works=False, summary="3 requests were sent")), "load spike: 20/s: 3 requests were sent"),
    ],
)
def test_a_spike_that_was_none_proves_nothing(made: Recording, says: str) -> None:
    judgement = verdict(made, experiment=STORM)
    assert judgement.outcome == "inconclusive"
    assert says in judgement.reasons


@given(fill(), st.floats(0, 100))
def test_whatever_was_recorded_windows_never_run_backwards(rows: list[Any], end: float) -> None:
    made = Recording()
    for row in rows:
        record(made, row)
    for window in windows(DRILL, made, end=end).values():
        assert window is None or 0 <= window.start <= window.end


# -- rules -------------------------------------------------------------------------------------------------------------


def test_a_run_in_which_everything_passed_has_passed() -> None:
    judgement = verdict(recording())
    assert (judgement.outcome, judgement.reasons, judgement.exit_code) == ("passed", (), EXIT_PASSED)


def test_one_failed_check_fails_the_run_and_every_other_is_still_judged() -> None:
    judgement = verdict(recording(), during="failed", after="inconclusive")
    assert (judgement.outcome, judgement.exit_code) == ("failed", EXIT_FAILED)
    assert judgement.reasons == ("during: failed: ...: 42",)
    assert outcomes(judgement) == {
        "steady-state before": ["passed"],
        "during": ["failed"],
        "after": ["inconclusive", "passed"],
        "steady-state after": ["passed"],
    }


def test_one_inconclusive_check_makes_the_run_inconclusive() -> None:
    judgement = verdict(recording(), after="inconclusive")
    assert (judgement.outcome, judgement.exit_code) == ("inconclusive", EXIT_INCONCLUSIVE)


@pytest.mark.parametrize("before", ["failed", "inconclusive"])
def test_without_a_steady_state_to_start_from_a_run_is_inconclusive_even_where_a_check_failed(before: str) -> None:
    judgement = verdict(recording(), before=before, during="failed")
    assert judgement.outcome == "inconclusive"
    assert judgement.reasons[0].startswith("no steady state to start from: steady-state before")
    assert "during: failed: ...: 42" in judgement.reasons


def test_a_steady_state_that_did_not_come_back_fails_the_run() -> None:
    def worse_later(window: Window) -> Verdict:
        return Verdict("passed" if window.start < 10 else "failed", "42", "at least 40", 1)

    drill = replace(DRILL, steady_state=(check("worse"),))
    judgement = judge(drill, recording(), probes=lambda _: worse_later, aborted=None, errors=(), end=60.0)
    assert (judgement.outcome, judgement.reasons) == ("failed", ("steady-state after: worse: ...: 42",))


def test_an_abort_comes_before_everything() -> None:
    judgement = verdict(
        recording(), before="failed", during="failed", aborted="availability below 50%", errors=("a recorder failed",)
    )
    assert (judgement.outcome, judgement.exit_code) == ("aborted", EXIT_ABORTED)
    assert judgement.reasons == ("availability below 50%", "a recorder failed")


@pytest.mark.parametrize("during", ["passed", "failed"])
def test_an_error_of_our_own_takes_the_green_away(during: str) -> None:
    judgement = verdict(recording(), during=during, errors=("a recorder failed",))
    assert judgement.outcome == "inconclusive"
    assert judgement.reasons[0] == "a recorder failed"
    assert judgement.errors == ("a recorder failed",)


def test_without_a_fault_nothing_of_during_and_after_can_be_told() -> None:
    judgement = verdict(Recording())
    assert judgement.outcome == "inconclusive"
    assert outcomes(judgement)["during"] == ["inconclusive"]
    assert outcomes(judgement)["after"] == ["inconclusive", "inconclusive"]
    assert {one.verdict.why for one in judgement.judged if one.block in ("during", "after")} == {
        "no fault was injected"
    }


def test_a_fault_that_was_never_injected_takes_the_green_away_even_where_nothing_is_expected_of_it() -> None:
    drill = replace(DRILL, steady_state=(check("passed"),))
    judgement = judge(drill, Recording(), probes=PROBES.__getitem__, aborted=None, errors=(), end=60.0)
    assert judgement.outcome == "inconclusive"
    assert "no fault was injected" in judgement.reasons[0]


@pytest.mark.parametrize(
    ("proof", "words"),
    [
        (None, "nothing proves that it was on"),
        (Proof(works=False, summary="no bytes were swallowed"), "no bytes were swallowed"),
    ],
)
def test_a_fault_without_a_working_proof_makes_during_inconclusive_in_the_proofs_words(
    proof: Proof | None, words: str
) -> None:
    judgement = verdict(recording(proof=proof), during="failed")
    assert judgement.outcome == "inconclusive"
    assert outcomes(judgement)["during"] == ["inconclusive"]
    assert outcomes(judgement)["after"] == ["passed", "passed"]
    assert any(words in reason for reason in judgement.reasons)


def test_one_unproved_fault_among_several_is_enough() -> None:
    second = Step(1, "latency", {}, Duration(12.0), Duration(5.0), "latency gateway → cache", HERE)
    drill = replace(DRILL, method=(*DRILL.method, second))
    judgement = verdict(recording(), experiment=drill)
    assert judgement.outcome == "inconclusive"
    assert "latency gateway → cache: no fault was injected" in judgement.reasons
    made = recording()
    made.fault_on(1, "latency", "latency gateway → cache", 12.0)
    made.fault_off(1, 17.0, PROVED)
    assert verdict(made, experiment=drill).outcome == "passed"


def test_a_fault_that_was_never_off_leaves_no_after_to_judge() -> None:
    judgement = verdict(recording(off=None))
    assert judgement.outcome == "inconclusive"
    assert outcomes(judgement)["after"] == ["inconclusive", "inconclusive"]
    assert any("never off" in reason for reason in judgement.reasons)


def test_a_probe_that_raises_is_inconclusive_and_the_others_are_still_judged() -> None:
    judgement = verdict(recording(), during="raises")
    assert judgement.outcome == "inconclusive"
    assert outcomes(judgement)["after"] == ["passed", "passed"]
    assert judgement.reasons == ("during: raises: ...: the probe raised LookupError: no such column",)


@pytest.mark.parametrize(
    ("answer", "flaw"),
    [
        (None, "returned nothing instead of a Verdict"),
        (True, "returned true instead of a Verdict"),
        (Verdict(cast("Any", "green"), "42", "40", 3), "returned a Verdict whose outcome is 'green'"),
        (Verdict("passed", cast("Any", 42), "40", 3), "returned a Verdict whose figure is 42 instead of text"),
        (
            Verdict("passed", "42", "40", cast("Any", None)),
            "returned a Verdict whose samples is nothing instead of a whole number",
        ),
        (
            Verdict("passed", "42", "40", 3, value=cast("Any", "42")),
            "returned a Verdict whose value is '42' instead of a number",
        ),
    ],
)
def test_a_probe_that_returns_no_verdict_is_inconclusive_and_named(answer: object, flaw: str) -> None:
    probes = {**PROBES, "odd": lambda _: answer}
    drill = replace(DRILL, steady_state=(check("passed"),), during=(check("odd"),), after=(check("passed"),))

    judgement = judge(drill, recording(), probes=probes.__getitem__, aborted=None, errors=(), end=60.0)

    assert judgement.outcome == "inconclusive"
    assert judgement.reasons == (f"during: odd: ...: the probe odd {flaw}",)


def test_a_probe_that_is_not_installed_is_inconclusive_too() -> None:
    judgement = verdict(recording(), during="availabilty")
    assert judgement.outcome == "inconclusive"
    assert "KeyError" in judgement.reasons[0]


def test_an_experiment_that_states_nothing_proves_nothing() -> None:
    judgement = judge(DRILL, recording(), probes=PROBES.__getitem__, aborted=None, errors=(), end=60.0)
    assert (judgement.outcome, judgement.reasons) == ("inconclusive", ("the experiment states nothing to judge",))


def test_one_block_alone_is_judged_as_it_is_among_the_others() -> None:
    made = Recording()
    record_run(made)
    whole = judged(made).judged
    for block in BLOCKS:
        alone = judge_block(shipped(), made, block, probes=registry.probes().get, end=60.0)
        assert alone == tuple(one for one in whole if one.block == block)


# -- abort conditions --------------------------------------------------------------------------------------------------


def test_an_abort_condition_holds_where_its_probe_passes() -> None:
    (condition,) = shipped().abort
    probe = registry.probes().get(condition.probe)
    made = Recording()
    for each in evenly(100, end=5.0, total=0.0, outcome="error"):
        made.add_request(each)
    assert judge_abort(condition, made.live_window(5.0, condition.over), probe).outcome == "passed"


def test_an_abort_condition_with_nothing_to_look_at_does_not_hold() -> None:
    (condition,) = shipped().abort
    probe = registry.probes().get(condition.probe)
    assert judge_abort(condition, Recording().live_window(5.0, condition.over), probe).outcome == "inconclusive"


def test_an_abort_condition_that_cannot_be_judged_is_not_passed_over() -> None:
    with pytest.raises(LookupError):
        judge_abort(check("raises"), Recording().live_window(5.0, 5.0), raises)


# -- the shipped experiment --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 0.2])
def test_the_shipped_experiment_passes_where_all_goes_as_it_expects(scale: float) -> None:
    made = Recording()
    record_run(made, scale=scale)
    judgement = judged(made, scale=scale)
    assert judgement.reasons == ()
    assert judgement.outcome == "passed"
    assert len(judgement.judged) == 15


def test_the_shipped_experiment_fails_where_answers_hide_their_degradation() -> None:
    made = Recording()
    record_run(made, level=0, retrieval="dense+keyword", retrieval_quality="high", warnings=())
    judgement = judged(made)
    assert judgement.outcome == "failed"
    assert {one.check.probe for one in judgement.judged if one.verdict.outcome == "failed"} == {
        "degradation",
        "disclosed",
    }


def test_the_shipped_experiment_is_inconclusive_where_its_fault_did_not_work() -> None:
    made = Recording()
    record_run(made, proof=Proof(works=False, summary="nothing went over the link"))
    assert judged(made).outcome == "inconclusive"


# -- the same from a file ----------------------------------------------------------------------------------------------


@given(fill(), st.sampled_from([1.0, 0.2]))
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_is_judged_as_the_run_was(rows: list[Any], scale: float) -> None:
    async def run(path: Path) -> Judgement:
        async with EvidenceWriter(path, info()) as writer:
            made = Recording(writer)
            for row in rows:
                record(made, row, PROVED)
            judgement = judged(made, scale=scale)
            await writer.close(judgement)
        return judgement

    with tempfile.TemporaryDirectory() as folder:
        live = asyncio.run(run(Path(folder) / "evidence.sqlite"))
        read = read_run(Path(folder) / "evidence.sqlite")
    assert judged(read.recording, scale=scale) == live
    assert read.verdicts == recorded(live.judged)
