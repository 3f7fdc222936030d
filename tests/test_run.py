"""A run of three seconds against a tiny target: what fails on our own side takes the green away."""

import asyncio
import contextlib
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from brownout import registry
from brownout.errors import EnvironmentProblem, FaultError
from brownout.evidence.model import Proof
from brownout.evidence.store import read_run
from brownout.evidence.window import Window
from brownout.halt import Stopped
from brownout.judge import Judgement
from brownout.ledger import Ledger
from brownout.load import Asker
from brownout.plan import RunPlan
from brownout.probe import Verdict, inconclusive
from brownout.reader import parse_experiment
from brownout.run import Run
from brownout.units import Share
from tests.busy import wait_for_calm
from tests.tiny import EXPERIMENT, Quiet, Tiny, play, steadily


def test_a_run_without_trouble_passes_and_its_file_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement, run, target = steadily(Tiny, tmp_path / "run", monkeypatch)

    assert (judgement.outcome, judgement.reasons) == ("passed", ())
    assert len(judgement.judged) == 4
    assert read_run(run.plan.evidence).info.outcome == "passed"
    assert (target.broken, target.downs) == (False, 1)


SPIKE = """
title: Five seconds of which one is busy
hypothesis: the spike is what is judged
load:
  - {name: quiet, rate: 25/s, arrivals: constant}
  - {name: spike, rate: 30/s, arrivals: constant, at: 2s, for: 1s}
duration: 5s
method: []
steady-state: [{availability: {at-least: 50%}}]
expect:
  during: [{availability: {at-least: 50%, load: spike}}, {availability: {at-least: 50%, load: quiet}}]
  after: [{availability: {at-least: 50%}}]
"""


def test_a_spike_of_load_is_recorded_and_judged_as_a_fault_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("brownout.run.MAX_LATENESS", 60.0)

    judgement, run = play(Tiny(), tmp_path / "run", monkeypatch, text=SPIKE)

    assert (judgement.outcome, judgement.reasons) == ("passed", ())
    recorded = read_run(run.plan.evidence).recording
    (span,) = recorded.faults
    spike = [request for request in recorded.requests if request.load == "spike"]
    assert (span.fault, span.title) == ("load", "load spike: 30/s")
    assert span.on == pytest.approx(2.0, abs=0.5)
    assert span.off == pytest.approx(3.0, abs=0.5)
    assert all(2.0 < request.intended < 3.0 for request in spike)
    assert span.proof is not None
    assert span.proof.figures["requests"] == pytest.approx(len(spike), abs=3)
    during = {one.check.title: one.verdict.samples for one in judgement.judged if one.block == "during"}
    assert during["availability: at-least 50%, load spike"] > during["availability: at-least 50%, load quiet"]


def test_a_spike_that_this_machine_could_not_send_proves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("brownout.traffic.SPIKE_AT_LEAST", 2.0)

    judgement, _ = play(Tiny(), tmp_path / "run", monkeypatch, text=SPIKE)

    assert judgement.outcome == "inconclusive"
    assert any("requests were sent, of 30 on average" in reason for reason in judgement.reasons)


def test_a_run_ends_though_its_target_swallows_a_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    judgement, _, target = steadily(lambda: Tiny(deaf_to=1), tmp_path / "run", monkeypatch)

    assert (judgement.outcome, target.deaf_to, target.downs) == ("passed", 0, 1)


def test_the_ledger_knows_of_a_fault_before_it_is_injected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _, _, target = steadily(Tiny, tmp_path / "run", monkeypatch)

    assert target.ledger_rows == ["gateway → store link.blackhole intended"]
    with Ledger.open() as ledger:
        assert ledger.open_runs() == []


@pytest.mark.parametrize(
    ("trouble", "said"),
    [
        ({"events_status": 500}, "breakers never saw anything"),
        ({"inject_takes": 1.2}, " s late; this machine"),
        ({"inject_error": FaultError("no such link")}, "no such link"),
        ({"heal_error": FaultError("the proxy is gone")}, "could not be healed in 3 tries"),
        ({"proof": Proof(False, "12 bytes got through")}, "12 bytes got through"),
        ({"down_error": EnvironmentProblem("a process would not end")}, "a process would not end"),
        ({"down_error": RuntimeError("a bug")}, "RuntimeError: a bug"),
    ],
    ids=["recorder", "late fault", "inject", "heal", "proof", "tear down", "a bug in tear down"],
)
def test_what_fails_on_our_side_is_never_green(
    trouble: dict[str, Any], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for attempt in range(3):
        judgement, run = play(Tiny(**trouble), tmp_path / f"run-{attempt}", monkeypatch)
        assert judgement.outcome == "inconclusive"
        # A machine that is too busy for a steady state comes to none of it.
        if not any("no steady state" in reason for reason in judgement.reasons):
            break
        wait_for_calm()

    assert any(said in reason for reason in judgement.reasons), judgement.reasons
    assert read_run(run.plan.evidence).info.outcome == "inconclusive"


def test_a_target_that_could_not_be_taken_down_is_left_in_the_ledger(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stuck = {"heal_error": FaultError("the proxy is gone"), "down_error": EnvironmentProblem("a process would not end")}
    play(Tiny(**stuck), tmp_path / "run", monkeypatch)

    with Ledger.open() as ledger:
        assert [run.id for run in ledger.open_runs()] == ["run"]
        assert [fault.state for fault in ledger.faults("run")] == ["on"]


def test_what_fails_as_the_last_things_are_closed_is_in_the_evidence_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    monkeypatch.setattr(Asker, "__aexit__", fail)
    judgement, run = play(Tiny(), tmp_path / "run", monkeypatch)

    assert judgement.outcome == "inconclusive"
    assert "closing: RuntimeError: a bug" in judgement.errors
    info = read_run(run.plan.evidence).info
    assert (info.outcome, info.errors) == (judgement.outcome, judgement.errors)


def test_a_verdict_that_cannot_be_written_is_not_green(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "run"

    def keep_the_verdict_out() -> None:
        with contextlib.closing(sqlite3.connect(folder / "evidence.sqlite", timeout=5)) as file:
            file.execute("CREATE TRIGGER full BEFORE INSERT ON verdict BEGIN SELECT RAISE(ABORT, 'disk full'); END")

    judgement, run = play(Tiny(on_inject=keep_the_verdict_out), folder, monkeypatch)

    assert judgement.outcome == "inconclusive"
    assert "the evidence is not complete: evidence could not be written: disk full" in judgement.reasons
    assert read_run(run.plan.evidence).info.outcome is None


def test_closing_again_gives_the_same_verdict(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # The engine swallows what a control raises, and whoever comes next must not find a second, green verdict.
    judgement, run = play(Tiny(down_error=RuntimeError("a bug")), tmp_path / "run", monkeypatch)

    assert asyncio.run(_again(run)) is judgement


async def _again(run: Run) -> Judgement:
    return await run.close()


@pytest.mark.parametrize("answer", [b"", b'data: {"choices": []}\n\n'])
def test_an_answer_that_says_nothing_is_no_answer(
    answer: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    judgement, run = play(Tiny(answer=answer), tmp_path / "run", monkeypatch)

    assert judgement.outcome != "passed"
    outcomes = [request.outcome for request in run.recording.requests]
    # Those under way as the run ended were never answered.
    assert set(outcomes) <= {"cut", "timeout"}
    assert outcomes.count("cut") > 5


def test_the_death_of_our_own_proxy_stops_the_run_and_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = EXPERIMENT.replace("duration: 2500ms", "duration: 60s")
    judgement, run, target = steadily(lambda: Tiny(proxy_lives=1.2), tmp_path / "run", monkeypatch, text=text)

    assert judgement.outcome == "aborted"
    assert any("the fault proxy was ended by SIGKILL" in reason for reason in judgement.reasons)
    assert run.clock.now() < 30
    assert target.broken is False


def test_an_abort_guard_that_cannot_look_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(window: Window, *, below: Share) -> Verdict:
        if window.start > 0:
            msg = "cannot look"
            raise ZeroDivisionError(msg)
        return inconclusive("", samples=0, why="")

    real = registry.probes().get
    known = registry.Registry("probe", {"blind": lambda: blind, "availability": lambda: real("availability")})
    monkeypatch.setattr(registry, "probes", lambda: known)
    text = EXPERIMENT.replace("availability: {below: 10%, over: 1s}", "blind: {below: 10%, over: 1s}")
    judgement, _, target = steadily(Tiny, tmp_path / "run", monkeypatch, text=text)

    assert judgement.outcome == "aborted"
    assert "cannot look" in judgement.reasons[0]
    assert target.broken is False


def test_nothing_is_injected_into_a_run_that_was_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Tiny()
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"tiny": lambda: target}))
    experiment = parse_experiment(EXPERIMENT, file="tiny.yaml")

    async def work() -> Judgement:
        run = Run(RunPlan("run-1", experiment, "tiny", 1, 1.0, tmp_path), progress=Quiet())
        await run.open()
        # Its time has come and gone: there is nothing left to wait for, and it must not be injected all the same.
        await run.clock.sleep_until(1.1)
        run.stop("enough")
        with pytest.raises(Stopped):
            await run.inject(0)
        return await run.close()

    assert asyncio.run(work()).outcome == "aborted"
    assert target.ledger_rows == []


def test_a_file_that_cannot_be_written_takes_the_green_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_file() -> None:
        # Another program spoils it for good: as lasting as a full disk, and easier to arrange.
        newest = max(tmp_path.glob("run-*/evidence.sqlite"))
        with contextlib.closing(sqlite3.connect(newest, timeout=60)) as file:
            for (table,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
                file.execute(f"DROP TABLE {table}")

    judgement, _, _ = steadily(lambda: Tiny(on_inject=lose_the_file), tmp_path / "run", monkeypatch)

    assert judgement.outcome == "inconclusive"
    assert any("the evidence is not complete" in reason for reason in judgement.reasons)


def test_a_collapse_aborts_heals_and_ends_the_run_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def made() -> Tiny:
        target = Tiny()
        target.on_inject = lambda: setattr(target, "answer_status", 500)
        return target

    text = EXPERIMENT.replace("for: 500ms", "for: 50s").replace("duration: 2500ms", "duration: 60s")
    judgement, run, target = steadily(made, tmp_path / "run", monkeypatch, text=text)

    assert judgement.outcome == "aborted"
    assert "availability: below 10%" in judgement.reasons[0]
    assert run.clock.now() < 30
    assert target.broken is False
    (span,) = run.recording.faults
    (aborted,) = (event.at for event in run.recording.events if event.kind == "abort")
    assert span.off is not None
    assert aborted <= span.off < aborted + 10


def test_a_target_that_does_not_come_up_is_taken_down_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Tiny(up_error=EnvironmentProblem("no port is free"))

    with pytest.raises(EnvironmentProblem, match="no port is free"):
        play(target, tmp_path / "run", monkeypatch)

    assert target.downs == 1


def test_an_unhealthy_start_is_inconclusive_and_nothing_is_broken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Tiny(answer_status=500)
    text = EXPERIMENT.replace("abort: [{availability: {below: 10%, over: 1s}}]\n", "")

    judgement, run = play(target, tmp_path / "run", monkeypatch, text=text)

    assert judgement.outcome == "inconclusive"
    assert run.recording.faults == ()
    assert target.ledger_rows == []
