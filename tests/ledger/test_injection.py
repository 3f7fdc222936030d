"""Ledger, lease, proof and heal, in that order, whatever goes wrong meanwhile."""

import asyncio
import itertools
from pathlib import Path

import pytest

from brownout.breakage import Blackhole, Kill, ServicePlace
from brownout.broken import HEAL_TRIES, BrokenSpan
from brownout.errors import EnvironmentProblem, FaultError
from brownout.evidence.model import Proof
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceFamily, ServiceName, Topology, UnknownFamily, UnknownPlace
from tests.ledger.bench import CACHE, GATEWAY, PLACE, Bench, Flowing, Paused, Scripted, _hold, on_bench


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
        bench.target.heals_fail = [KeyError("a bug"), ConnectionError("gone")]
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            pass
        assert bench.target.calls.count("heal") == HEAL_TRIES
        assert bench.told == []
        assert bench.states() == ["healed"]

    on_bench(play, clock=Flowing)


def test_a_heal_that_keeps_failing_is_raised_reported_and_left_in_the_ledger() -> None:
    async def play(bench: Bench) -> None:
        bench.target.heals_fail = [FaultError("stuck")] * HEAL_TRIES
        with pytest.raises(FaultError, match="could not be healed in 3 tries"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pass
        assert len(bench.told) == 1
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


@pytest.mark.parametrize("problem", [FaultError("no counters"), KeyError("no counters")], ids=["told", "a bug"])
def test_a_proof_that_cannot_be_read_is_no_proof_and_does_not_stop_the_heal(problem: Exception) -> None:
    async def play(bench: Bench) -> None:
        bench.target.prove_fails = problem
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            pass
        proof = bench.spans[-1].proof
        assert proof is not None
        assert not proof.works
        assert "no counters" in bench.told[0]
        assert bench.states() == ["healed"]

    on_bench(play)


def test_a_heal_that_raises_what_nobody_expects_leaves_its_fault_in_the_ledger() -> None:
    async def play(bench: Bench) -> None:
        bench.target.heals_fail = [KeyError("a bug")] * HEAL_TRIES
        with pytest.raises(FaultError, match="KeyError: 'a bug'"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pass
        assert len(bench.told) == 1
        assert bench.states() == ["on"]

    on_bench(play, clock=Flowing)


def test_each_step_of_a_method_can_watch_its_own_faults() -> None:
    async def play(bench: Bench) -> None:
        mine: list[BrokenSpan] = []
        async with bench.live.watched(mine.append).link(GATEWAY, CACHE).broken(Blackhole()):
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
        unknown = LiveSystem(bench.target, bench.ledger, "a run that never began", clock=bench.clock)
        with pytest.raises(EnvironmentProblem, match="the ledger cannot be used"):
            async with unknown.watched(bench.spans.append).link(GATEWAY, CACHE).broken(Blackhole()):
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
            live = LiveSystem(Replicated(), ledger, run, clock=Flowing(), seed=seed)
            system = live.watched(lambda span: None if span.off is None else places.append(str(span.place)))
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
