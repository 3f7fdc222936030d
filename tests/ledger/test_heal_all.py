"""Everything is healed at once, and nothing is broken any more after that."""

import asyncio

import pytest

from brownout.breakage import Blackhole, Breakage, Place
from brownout.errors import FaultError
from tests.ledger.bench import CACHE, GATEWAY, Bench, Flowing, _hold, on_bench


def test_heal_all_heals_what_is_on_and_lets_nothing_be_broken_any_more() -> None:
    async def play(bench: Bench) -> None:
        entered = [asyncio.Event(), asyncio.Event()]
        tasks = [asyncio.create_task(_hold(bench, event)) for event in entered]
        for event in entered:
            await event.wait()
        assert len(bench.target.leases) == 2
        await asyncio.gather(bench.live.heal_all(), bench.live.heal_all())
        assert bench.target.leases == set()
        assert bench.states() == ["healed", "healed"]
        with pytest.raises(FaultError, match="was not injected"):
            async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
                pytest.fail("entered")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        assert bench.target.calls.count("heal") == 2
        await bench.live.heal_all()

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
        healing = asyncio.create_task(bench.live.heal_all())
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
            await bench.live.heal_all()
        assert bench.target.leases == {unlucky}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    on_bench(play, clock=Flowing)
