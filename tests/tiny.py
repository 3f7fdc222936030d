"""A run of three seconds against a tiny target, in which a test lets go wrong what it likes."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from brownout import registry
from brownout.breakage import Blackhole, Breakage, Place
from brownout.errors import BrownoutError, EnvironmentProblem
from brownout.evidence.model import Proof
from brownout.judge import Judgement
from brownout.ledger import Ledger
from brownout.plan import PrometheusPlan, RunPlan
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
from tests.busy import wait_for_calm

EXPERIMENT = """
title: Three seconds
hypothesis: the run notices what goes wrong with itself
load: {rate: 100/s}
duration: 2500ms
steady-state: [{availability: {at-least: 99%}}]
method:
  - partition: {from: gateway, to: store}
    at: 1s
    for: 500ms
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
        return Topology(
            ("gateway", "store"), (("gateway", "store"),), frozenset({Blackhole.kind, Blackhole(cycle=1.0).capability})
        )

    async def up(self, options: TargetOptions, say: Say) -> None:
        if self.up_error is not None:
            raise self.up_error
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whoever leaves in the middle of it is not waited for.
        with contextlib.closing(writer), contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            head = await reader.readuntil(b"\r\n\r\n")
            if head.startswith(b"GET"):
                status, body = self.events_status, b'{"next": 0, "events": []}'
            else:
                length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
                await reader.readexactly(length)
                status = self.answer_status
                body = self.answer + b"data: [DONE]\n\n"
            head = f"HTTP/1.1 {status} X\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n".encode()
            writer.write(head + body)
            await writer.drain()

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


def steadily(
    made: Callable[[], Tiny], folder: Path, monkeypatch: pytest.MonkeyPatch, *, text: str = EXPERIMENT
) -> tuple[Judgement, Run, Tiny]:
    """`play`, again where the machine was too busy: for a steady state, or to be on time with the load or a fault."""
    for attempt in range(5):
        target = made()
        judgement, run = play(target, folder.with_name(f"{folder.name}-{attempt}"), monkeypatch, text=text)
        late = (
            "no steady state to start from",
            "the load was sent late",
            "this machine or its target is too slow",
            "s instead of",
        )
        if not any(said in reason for reason in judgement.reasons for said in late):
            break
        wait_for_calm(20.0)
    return judgement, run, target


def play(
    target: Tiny,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    text: str = EXPERIMENT,
    prometheus: PrometheusPlan | None = None,
) -> tuple[Judgement, Run]:
    """Drive a run as the engine does."""
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"tiny": lambda: target}))
    experiment = parse_experiment(text, file="tiny.yaml")
    folder.mkdir()

    async def work() -> tuple[Judgement, Run]:
        plan = RunPlan(folder.name, experiment, "tiny", 1, 1.0, folder, prometheus=prometheus)
        run = Run(plan, progress=Quiet())
        try:
            await run.open()
            before = await run.steady_state()
            if all(one.verdict.outcome == "passed" for one in before):
                for step in experiment.method:
                    await run.inject(step.index)
                    await run.withdraw(step.index)
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
