"""A fault that is on keeps its lease, and says so when it has lost it."""

import asyncio
import contextlib

from brownout.breakage import Blackhole
from brownout.errors import FaultError
from tests.ledger.bench import CACHE, GATEWAY, Bench, Paused, _hold, on_bench


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
        assert bench.told == []

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


def test_a_renewal_that_raises_what_nobody_expects_is_reported_and_the_fault_is_healed() -> None:
    async def play(bench: Bench) -> None:
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            bench.target.renew_fails = KeyError("a bug")
            await bench.clock.advance(1.0)
            assert bench.told == [
                "link.blackhole at gateway → cache is not renewed any more and lapses within 5 s: KeyError: 'a bug'"
            ]
        assert bench.target.calls[-2:] == ["prove", "heal"]
        assert bench.target.leases == set()
        assert bench.states() == ["healed"]

    on_bench(play)


def test_a_fault_is_healed_though_its_renewal_swallows_the_cancellation() -> None:
    async def play(bench: Bench) -> None:
        renewing = asyncio.Event()

        async def deaf(lease: str, *, ttl: float) -> None:
            renewing.set()
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.Event().wait()

        bench.target.renew = deaf  # type: ignore[method-assign]
        assert isinstance(bench.clock, Paused)
        entered = asyncio.Event()
        holder = asyncio.create_task(_hold(bench, entered))
        await entered.wait()
        await bench.clock.advance(1.0)
        await renewing.wait()
        holder.cancel()
        await asyncio.wait({holder}, timeout=5)
        assert holder.done()
        assert bench.states() == ["healed"]

    on_bench(play)


def test_a_fault_is_healed_though_its_renewal_does_not_end() -> None:
    async def play(bench: Bench) -> None:
        renewing, answered = asyncio.Event(), asyncio.Event()

        async def deaf(lease: str, *, ttl: float) -> None:
            renewing.set()
            while not answered.is_set():
                with contextlib.suppress(asyncio.CancelledError):
                    await answered.wait()
            msg = "there is no such lease"
            raise FaultError(msg)

        bench.target.renew = deaf  # type: ignore[method-assign]
        assert isinstance(bench.clock, Paused)
        async with bench.system.link(GATEWAY, CACHE).broken(Blackhole()):
            await bench.clock.advance(1.0)
            await renewing.wait()
        assert bench.states() == ["healed"]
        answered.set()
        await bench.clock.advance(1.0)
        # That the lease is gone when the renewal comes back at last is as it should be.
        assert bench.told == ["link.blackhole at gateway → cache: its renewal went on for 1 s after it was ended"]

    on_bench(play)
