"""A run of three seconds against a tiny target: what fails on our own side takes the green away."""

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from brownout import registry
from brownout.breakage import Blackhole, Breakage, Place
from brownout.errors import BrownoutError, EnvironmentProblem, FaultError
from brownout.evidence.model import Proof
from brownout.evidence.store import read_run
from brownout.evidence.window import Window
from brownout.halt import Stopped
from brownout.judge import Judgement
from brownout.ledger import Ledger
from brownout.plan import RunPlan
from brownout.probe import Verdict, inconclusive
from brownout.reader import parse_experiment
from brownout.report.progress import LiveStats
from brownout.run import Run
from brownout.system import Topology
from brownout.target import (
    Caller,
    Door,
    LinkCounters,
    ProcessUsage,
    Question,
    Say,
    ServiceState,
    Setting,
    Source,
    TargetOptions,
)
from brownout.units import Share

EXPERIMENT = """
title: Three seconds
hypothesis: the run notices what goes wrong with itself
load: {rate: 60/s}
duration: 3s
steady-state: [{availability: {at-least: 99%}}]
method:
  - partition: {from: gateway, to: store}
    at: 1s
    for: 400ms
expect:
  during: [{availability: {at-least: 50%}}]
  after: [{availability: {at-least: 99%}}]
abort: [{availability: {below: 10%, over: 1s}}]
"""


class Quiet:
    """Progress that nobody reads, kept."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None: ...

    def say(self, text: str) -> None: ...

    def tick(self, stats: LiveStats) -> None: ...

    def note(self, at: float, text: str) -> None:
        self.notes.append(text)

    def close(self) -> None: ...


@dataclass
class Tiny:
    """A gateway of thirty lines on a real socket, and whatever a test lets go wrong."""

    name: str = "tiny"
    events_status: int = 200
    answer_status: int = 200
    up_error: Exception | None = None
    inject_error: Exception | None = None
    heal_error: Exception | None = None
    down_error: Exception | None = None
    proof: Proof = field(default_factory=lambda: Proof(True, "9 bytes were swallowed"))
    on_inject: Callable[[], None] = lambda: None
    inject_takes: float = 0.0
    proxy_lives: float = 3600.0
    answer: bytes = b"data: " + json.dumps({"choices": [{"delta": {"content": "yes"}}]}).encode() + b"\n\n"
    broken: bool = False
    downs: int = 0
    deaf_to: int = 0
    ledger_rows: list[str] = field(default_factory=list)
    _server: asyncio.Server | None = None

    def __call__(self) -> "Tiny":
        return self

    def check(self) -> Sequence[str]:
        return ()

    def settings(self) -> Mapping[str, Setting]:
        return {}

    def topology_of(self, settings: Mapping[str, object]) -> Topology:
        return self.topology

    async def undo(self, recovery: Mapping[str, Any]) -> Sequence[str]:
        return ()

    @property
    def topology(self) -> Topology:
        return Topology(("gateway", "store"), (("gateway", "store"),), frozenset({Blackhole.kind}))

    async def up(self, options: TargetOptions, say: Say) -> None:
        if self.up_error is not None:
            raise self.up_error
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            head = await reader.readuntil(b"\r\n\r\n")
        except asyncio.IncompleteReadError:
            writer.close()
            return
        if head.startswith(b"GET"):
            status, body = self.events_status, b'{"next": 0, "events": []}'
        else:
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            status = self.answer_status
            body = self.answer + b"data: [DONE]\n\n"
        writer.write(f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode() + body)
        await writer.drain()
        writer.close()

    async def down(self) -> None:
        self.downs += 1
        if self._server is not None:
            self._server.close()
            self._server = None
        if self.down_error is not None:
            raise self.down_error

    def _url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}"

    def door(self) -> Door:
        return Door(self._url(), (Caller("acme", "pro", "token"),))

    def questions(self, name: str) -> Sequence[Question]:
        return [Question("q1", "acme", "is it so?")]

    def sources(self) -> Sequence[Source]:
        return [Source("breaker-events", "gateway", f"{self._url()}/events")]

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        with Ledger.open() as ledger:
            (run,) = ledger.open_runs()
            self.ledger_rows += [f"{row.place} {row.kind} {row.state}" for row in ledger.faults(run.id)]
        if self.inject_error is not None:
            raise self.inject_error
        await asyncio.sleep(self.inject_takes)
        self.broken = True
        self.on_inject()

    async def renew(self, lease: str, *, ttl: float) -> None: ...

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        if self.heal_error is not None:
            raise self.heal_error
        self.broken = False

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        return self.proof

    async def counters(self) -> Sequence[LinkCounters]:
        return ()

    async def services(self) -> Sequence[ServiceState]:
        return ()

    async def watch(self) -> None:
        while self.deaf_to:
            try:
                await asyncio.sleep(self.proxy_lives)
            except asyncio.CancelledError:
                self.deaf_to -= 1
        await asyncio.sleep(self.proxy_lives)
        msg = "the fault proxy was ended by SIGKILL"
        raise EnvironmentProblem(msg)

    async def usage(self) -> ProcessUsage:
        return ProcessUsage(1, 1)

    def recovery(self) -> Mapping[str, Any]:
        return {}


def play(
    target: Tiny, folder: Path, monkeypatch: pytest.MonkeyPatch, *, text: str = EXPERIMENT
) -> tuple[Judgement, Run]:
    """Drive a run as the engine does."""
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"tiny": lambda: target}))
    experiment = parse_experiment(text, file="tiny.yaml")
    folder.mkdir()

    async def work() -> tuple[Judgement, Run]:
        run = Run(RunPlan("run-1", experiment, "tiny", 1, 1.0, folder), progress=Quiet())
        try:
            await run.open()
            before = await run.steady_state()
            if all(one.verdict.outcome == "passed" for one in before):
                await run.inject(0)
                await run.withdraw(0)
                await run.recover()
        except BrownoutError as error:
            # The engine, too, goes on to the rollback whatever an activity raises.
            run.progress.note(0, str(error))
            if not run.started:
                raise
        finally:
            judgement = await run.close()
        return judgement, run

    return asyncio.run(work())


def test_a_run_without_trouble_passes_and_its_file_says_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Tiny()

    judgement, run = play(target, tmp_path / "run", monkeypatch)

    assert (judgement.outcome, judgement.reasons) == ("passed", ())
    assert len(judgement.judged) == 4
    assert read_run(run.plan.evidence).info.outcome == "passed"
    assert (target.broken, target.downs) == (False, 1)


def test_a_run_ends_though_its_target_swallows_a_cancellation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Tiny(deaf_to=1)

    judgement, _ = play(target, tmp_path / "run", monkeypatch)

    assert (judgement.outcome, target.deaf_to, target.downs) == ("passed", 0, 1)


def test_the_ledger_knows_of_a_fault_before_it_is_injected(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Tiny()

    play(target, tmp_path / "run", monkeypatch)

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
    judgement, run = play(Tiny(**trouble), tmp_path / "run", monkeypatch)

    assert judgement.outcome == "inconclusive"
    assert any(said in reason for reason in judgement.reasons), judgement.reasons
    assert read_run(run.plan.evidence).info.outcome == "inconclusive"


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
    assert outcomes.count("cut") > 25


def test_the_death_of_our_own_proxy_stops_the_run_and_is_no_finding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = Tiny(proxy_lives=1.2)

    judgement, run = play(target, tmp_path / "run", monkeypatch)

    assert judgement.outcome == "aborted"
    assert any("the fault proxy was ended by SIGKILL" in reason for reason in judgement.reasons)
    assert run.clock.now() < 3
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
    target = Tiny()

    text = EXPERIMENT.replace("availability: {below: 10%, over: 1s}", "blind: {below: 10%, over: 1s}")
    judgement, _ = play(target, tmp_path / "run", monkeypatch, text=text)

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
    folder = tmp_path / "run"
    target = Tiny()

    def lose_the_file() -> None:
        # Another program locks the file for good: as lasting as a full disk, and easier to arrange.
        import sqlite3

        lock = sqlite3.connect(folder / "evidence.sqlite", timeout=5)
        lock.execute("BEGIN EXCLUSIVE")
        locks.append(lock)

    locks: list[Any] = []
    target.on_inject = lose_the_file
    judgement, _ = play(target, folder, monkeypatch)
    for lock in locks:
        lock.close()

    assert judgement.outcome == "inconclusive"
    assert any("the evidence is not complete" in reason for reason in judgement.reasons)


def test_a_collapse_aborts_heals_and_ends_the_run_early(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = Tiny()

    def collapse() -> None:
        target.answer_status = 500

    target.on_inject = collapse
    text = EXPERIMENT.replace("for: 400ms", "for: 20s").replace("duration: 3s", "duration: 30s")
    judgement, run = play(target, tmp_path / "run", monkeypatch, text=text)

    assert judgement.outcome == "aborted"
    assert "availability: below 10%" in judgement.reasons[0]
    assert run.clock.now() < 8
    assert target.broken is False
    (span,) = run.recording.faults
    (aborted,) = (event.at for event in run.recording.events if event.kind == "abort")
    assert span.off is not None
    assert aborted <= span.off < aborted + 1


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
