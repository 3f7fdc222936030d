"""Ledger, lease, proof and heal, in that order, whatever goes wrong meanwhile."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from brownout.breakage import Blackhole, Breakage, Kill, LinkPlace, Place, ServicePlace
from brownout.errors import EnvironmentProblem, FaultError
from brownout.evidence.model import Proof
from brownout.injection import HEAL_TRIES, BrokenSpan, LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceFamily, ServiceName, Topology, UnknownFamily, UnknownPlace
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
        self.system = LiveSystem(
            self.target, ledger, "run-1", clock=clock, on_change=self.spans.append, on_error=self.told.append
        )

    def states(self) -> list[str]:
        return [fault.state for fault in self.ledger.faults("run-1")]


def on_bench(play: Callable[[Bench], Awaitable[None]], *, clock: Callable[[], Paused | Flowing] = Paused) -> None:
    async def run() -> None:
        with Ledger.open() as ledger:
            ledger.begin(RunRow("run-1", current(), "scripted", {}, Path(), 0.0))
            await play(Bench(ledger, clock()))

    asyncio.run(run())


def test_the_ledger_row_is_on_the_disk_before_anything_is_injected() -> None:
    async def play(bench: Bench) -> None:
        seen: list[tuple[str, str]] = []

        async def look(lease: str) -> None:
            with Ledger.open() as another:
                seen.extend((fault.lease, fault.state) for fault in another.faults("run-1"))
            assert seen == [(lease, "intended")]

        bench.target.before_inject = look
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            assert bench.states() == ["on"]
        assert seen
        assert bench.states() == ["healed"]

    on_bench(play)


def test_a_fault_is_proved_before_it_is_healed_and_its_span_says_when_it_was_really_on_and_off() -> None:
    async def play(bench: Bench) -> None:
        async def slowly(_: str = "") -> None:
            assert isinstance(bench.clock, Paused)
            await bench.clock.advance(0.25)

        bench.target.before_inject = slowly
        bench.target.before_heal = slowly
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            await slowly()
        assert bench.target.calls == ["inject", "prove", "heal"]
        on, off = bench.spans
        assert (on.on, on.off, on.proof) == (100.25, None, None)
        assert (off.on, off.off, off.lease, off.place) == (100.25, 100.75, on.lease, PLACE)
        assert off.proof == Proof(works=True, summary="it was on")

    on_bench(play)


def test_an_injection_that_fails_leaves_its_row_and_no_fault() -> None:
    async def play(bench: Bench) -> None:
        bench.target.inject_fails = FaultError("no")
        with pytest.raises(FaultError, match="no"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pytest.fail("entered")
        assert bench.target.leases == set()
        assert bench.states() == ["healed"]
        assert bench.spans == []

    on_bench(play)


def test_an_injection_that_is_cancelled_leaves_no_fault() -> None:
    async def play(bench: Bench) -> None:
        injecting = asyncio.Event()

        async def hang(_: str) -> None:
            bench.target.leases.add(_)
            injecting.set()
            await asyncio.Event().wait()

        bench.target.before_inject = hang
        task = asyncio.create_task(_hold(bench, asyncio.Event()))
        await injecting.wait()
        task.cancel()
        await asyncio.wait({task})
        assert task.cancelled()
        assert bench.target.leases == set()
        assert bench.states() == ["healed"]

    on_bench(play)


async def _hold(bench: Bench, entered: asyncio.Event) -> None:
    async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
        entered.set()
        await asyncio.Event().wait()


def test_a_cancelled_holder_heals_to_the_end_even_if_it_is_cancelled_again_meanwhile() -> None:
    async def play(bench: Bench) -> None:
        healing, go_on, entered = asyncio.Event(), asyncio.Event(), asyncio.Event()

        async def wait() -> None:
            healing.set()
            await go_on.wait()

        bench.target.before_heal = wait
        task = asyncio.create_task(_hold(bench, entered))
        await entered.wait()
        task.cancel()
        await healing.wait()
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        go_on.set()
        await asyncio.wait({task})
        assert task.cancelled()
        assert bench.target.leases == set()
        assert bench.states() == ["healed"]

    on_bench(play)


def test_a_heal_is_tried_again_before_it_is_given_up() -> None:
    async def play(bench: Bench) -> None:
        bench.target.heals_fail = [FaultError("busy"), ConnectionError("gone")]
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            pass
        assert bench.target.calls.count("heal") == HEAL_TRIES
        assert bench.system.errors == []
        assert bench.states() == ["healed"]

    on_bench(play, clock=Flowing)


def test_a_heal_that_keeps_failing_is_raised_reported_and_left_in_the_ledger() -> None:
    async def play(bench: Bench) -> None:
        bench.target.heals_fail = [FaultError("stuck")] * HEAL_TRIES
        with pytest.raises(FaultError, match="could not be healed in 3 tries"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pass
        assert bench.told == bench.system.errors
        assert "stuck" in bench.told[0]
        assert bench.states() == ["on"]
        assert bench.spans[-1].off is not None

    on_bench(play, clock=Flowing)


def test_a_heal_that_fails_while_its_holder_is_cancelled_is_reported_all_the_same() -> None:
    async def play(bench: Bench) -> None:
        bench.target.heals_fail = [FaultError("stuck")] * HEAL_TRIES
        entered = asyncio.Event()
        task = asyncio.create_task(_hold(bench, entered))
        await entered.wait()
        task.cancel()
        await asyncio.wait({task})
        assert "stuck" in bench.told[0]

    on_bench(play, clock=Flowing)


def test_a_proof_that_cannot_be_read_is_no_proof_and_does_not_stop_the_heal() -> None:
    async def play(bench: Bench) -> None:
        bench.target.prove_fails = FaultError("no counters")
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            pass
        proof = bench.spans[-1].proof
        assert proof is not None
        assert not proof.works
        assert "no counters" in bench.told[0]
        assert bench.states() == ["healed"]

    on_bench(play)


def test_the_lease_is_renewed_every_second_while_the_fault_is_on_and_not_after() -> None:
    async def play(bench: Bench) -> None:
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            await bench.clock.advance(0.9)
            assert bench.target.calls == ["inject"]
            for _ in range(3):
                await bench.clock.advance(1.0)
        assert bench.target.calls == ["inject", "renew", "renew", "renew", "prove", "heal"]
        await bench.clock.advance(5.0)
        assert bench.target.calls[-1] == "heal"

    on_bench(play)


def test_a_lost_lease_is_reported_at_once_and_only_once() -> None:
    async def play(bench: Bench) -> None:
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            bench.target.renew_fails = FaultError("its lease had lapsed")
            for _ in range(3):
                await bench.clock.advance(1.0)
            assert bench.told == ["link.blackhole at gateway → cache ended before its time: its lease had lapsed"]
        assert bench.target.calls.count("renew") == 1

    on_bench(play)


def test_renewals_that_fail_for_less_than_the_lease_lasts_are_made_up_for() -> None:
    async def play(bench: Bench) -> None:
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            bench.target.renew_fails = ConnectionError("no answer")
            for _ in range(4):
                await bench.clock.advance(1.0)
            bench.target.renew_fails = None
            await bench.clock.advance(1.0)
        assert bench.system.errors == []

    on_bench(play)


def test_renewals_that_fail_for_as_long_as_the_lease_lasts_are_reported() -> None:
    async def play(bench: Bench) -> None:
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            bench.target.renew_fails = ConnectionError("no answer")
            for _ in range(6):
                await bench.clock.advance(1.0)
        assert bench.told == [
            "link.blackhole at gateway → cache could not be renewed for 5 s and has lapsed: no answer"
        ]

    on_bench(play)


def test_heal_all_heals_what_is_on_and_lets_nothing_be_broken_any_more() -> None:
    async def play(bench: Bench) -> None:
        entered = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(_hold(bench, event)) for event in entered]
        for event in entered:
            await event.wait()
        assert len(bench.target.leases) == 2
        await asyncio.gather(bench.system.heal_all(), bench.system.heal_all())
        assert bench.target.leases == set()
        assert bench.states() == ["healed", "healed"]
        with pytest.raises(FaultError, match="was not injected"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pytest.fail("entered")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert bench.target.calls.count("heal") == 2
        await bench.system.heal_all()

    on_bench(play)


def test_heal_all_waits_for_an_injection_under_way_and_heals_it() -> None:
    async def play(bench: Bench) -> None:
        injecting, go_on = asyncio.Event(), asyncio.Event()

        async def wait(_: str) -> None:
            injecting.set()
            await go_on.wait()

        bench.target.before_inject = wait
        entered = asyncio.Event()
        task = asyncio.create_task(_hold(bench, entered))
        await injecting.wait()
        healing = asyncio.create_task(bench.system.heal_all())
        await asyncio.sleep(0)
        assert not healing.done()
        go_on.set()
        await healing
        assert bench.target.calls == ["inject", "prove", "heal"]
        assert bench.target.leases == set()
        task.cancel()
        await asyncio.wait({task})

    on_bench(play)


def test_heal_all_heals_the_rest_when_one_cannot_be_healed() -> None:
    async def play(bench: Bench) -> None:
        entered = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(_hold(bench, event)) for event in entered]
        for event in entered:
            await event.wait()
        stuck = FaultError("stuck")
        original = bench.target.heal
        unlucky = sorted(bench.target.leases)[0]

        async def heal(place: Place, breakage: Breakage, *, lease: str) -> None:
            if lease == unlucky:
                raise stuck
            await original(place, breakage, lease=lease)

        bench.target.heal = heal  # type: ignore[method-assign]
        with pytest.raises(FaultError, match="stuck"):
            await bench.system.heal_all()
        assert bench.target.leases == {unlucky}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    on_bench(play, clock=Flowing)


def test_each_step_of_a_method_can_watch_its_own_faults() -> None:
    async def play(bench: Bench) -> None:
        mine: list[BrokenSpan] = []
        async with bench.system.watched(mine.append).link(GATEWAY, CACHE).broken(Blackhole()):
            pass
        assert len(mine) == 2
        assert bench.spans == []

    on_bench(play)


def test_a_place_that_the_target_does_not_have_is_refused() -> None:
    async def play(bench: Bench) -> None:
        with pytest.raises(UnknownPlace, match="no link cache → gateway"):
            bench.system.link(CACHE, GATEWAY)
        with pytest.raises(UnknownPlace, match="no service queue"):
            bench.system.service(ServiceName("queue"))

    on_bench(play)


def test_nothing_is_injected_where_it_cannot_be_written_down() -> None:
    async def play(bench: Bench) -> None:
        bench.system.run = "a run that never began"
        with pytest.raises(EnvironmentProblem, match="the ledger cannot be used"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pytest.fail("entered")
        assert bench.target.calls == []

    on_bench(play)


class Replicated(Scripted):
    topology = Topology(("gateway", "worker-2", "worker-10", "worker-1"), (), frozenset())


def test_replicas_are_taken_in_an_order_that_the_seed_decides_and_each_once_before_any_twice() -> None:
    runs = itertools.count()

    def taken(seed: int) -> list[str]:
        run = f"run-{next(runs)}"
        places: list[str] = []

        async def play(ledger: Ledger) -> None:
            system = LiveSystem(
                Replicated(),
                ledger,
                run,
                clock=Flowing(),
                seed=seed,
                on_change=lambda span: None if span.off is None else places.append(str(span.place)),
            )
            for _ in range(6):
                async with system.one_of(ServiceFamily("worker")).broken(Kill()):
                    pass
            with pytest.raises(UnknownFamily, match="no service with replicas of the name gateway"):
                system.one_of(ServiceFamily("gateway"))

        with Ledger.open() as ledger:
            ledger.begin(RunRow(run, current(), "scripted", {}, Path(), 0.0))
            asyncio.run(play(ledger))
            # The ledger names the very replica, so that it can be healed after our death.
            assert [fault.place for fault in ledger.faults(run)][-6:] == [ServicePlace(one) for one in places]
            ledger.end(run)
        return places

    orders = {tuple(taken(seed)) for seed in range(12)}
    assert len(orders) > 4
    assert taken(5) == taken(5)
    for order in orders:
        assert set(order[:3]) == set(order[3:]) == {"worker-1", "worker-2", "worker-10"}
