"""A live system over a target that does as it is told, and time to go with it."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from brownout.breakage import Blackhole, Breakage, LinkPlace, Place
from brownout.broken import BrokenSpan
from brownout.evidence.model import Proof
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName, Topology
from brownout.target import Door, LinkCounters, ProcessUsage, Question, Say, Source, TargetOptions

GATEWAY, CACHE = ServiceName("gateway"), ServiceName("cache")
PLACE = LinkPlace(GATEWAY, CACHE)


class Paused:
    """A clock that stands still until it is told to go on."""

    def __init__(self) -> None:
        self._now = 100.0
        self._moved = asyncio.Condition()

    def now(self) -> float:
        return self._now

    async def sleep_until(self, at: float) -> None:
        async with self._moved:
            await self._moved.wait_for(lambda: self._now >= at)

    async def advance(self, seconds: float) -> None:
        async with self._moved:
            self._now += seconds
            self._moved.notify_all()
        for _ in range(10):  # whoever was woken runs until it waits again
            await asyncio.sleep(0)


class Flowing:
    """A clock on which waiting costs nothing: it jumps."""

    def __init__(self) -> None:
        self._now = 100.0

    def now(self) -> float:
        return self._now

    async def sleep_until(self, at: float) -> None:
        self._now = max(self._now, at)
        await asyncio.sleep(0)


class Scripted:
    """A target with one link, which fails when told to. Real targets cannot be made to fail at a chosen moment."""

    topology = Topology(services=("gateway", "cache"), links=(("gateway", "cache"),), capabilities=frozenset())

    def __init__(self) -> None:
        self.leases: set[str] = set()
        self.calls: list[str] = []
        self.before_inject: Callable[[str], Awaitable[None]] | None = None
        self.before_heal: Callable[[], Awaitable[None]] | None = None
        self.inject_fails: Exception | None = None
        self.prove_fails: Exception | None = None
        self.renew_fails: Exception | None = None
        self.heals_fail: list[Exception] = []

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        self.calls.append("inject")
        if self.before_inject:
            await self.before_inject(lease)
        self.leases.add(lease)
        if self.inject_fails:
            raise self.inject_fails

    async def renew(self, lease: str, *, ttl: float) -> None:
        self.calls.append("renew")
        if self.renew_fails:
            raise self.renew_fails

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        self.calls.append("heal")
        if self.before_heal:
            await self.before_heal()
        if self.heals_fail:
            raise self.heals_fail.pop()
        self.leases.discard(lease)

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        self.calls.append("prove")
        if self.prove_fails:
            raise self.prove_fails
        return Proof(works=lease in self.leases, summary="it was on")

    async def up(self, options: TargetOptions, say: Say) -> None: ...
    async def down(self) -> None: ...
    def door(self) -> Door:
        return Door("", ())

    def questions(self, name: str) -> Sequence[Question]:
        return []

    def sources(self) -> Sequence[Source]:
        return []

    async def counters(self) -> Sequence[LinkCounters]:
        return []

    async def usage(self) -> ProcessUsage:
        return ProcessUsage(0, 0)

    def recovery(self) -> Mapping[str, Any]:
        return {}


class Bench:
    """One live system on a scripted target."""

    def __init__(self, ledger: Ledger, clock: Paused | Flowing) -> None:
        self.target = Scripted()
        self.ledger = ledger
        self.clock = clock
        self.spans: list[BrokenSpan] = []
        self.told: list[str] = []
        self.live = LiveSystem(self.target, ledger, "run-1", clock=clock, on_error=self.told.append)
        self.system = self.live.watched(self.spans.append)

    def states(self) -> list[str]:
        return [fault.state for fault in self.ledger.faults("run-1")]


def on_bench(play: Callable[[Bench], Awaitable[None]], *, clock: Callable[[], Paused | Flowing] = Paused) -> None:
    async def run() -> None:
        with Ledger.open() as ledger:
            ledger.begin(RunRow("run-1", current(), "scripted", {}, Path(), 0.0))
            await play(Bench(ledger, clock()))

    asyncio.run(run())


async def _hold(bench: Bench, entered: asyncio.Event) -> None:
    async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
        entered.set()
        await asyncio.Event().wait()
