"""A callback is never early, whatever the event loop's timers do."""

import asyncio
from collections.abc import Callable
from functools import partial
from random import Random

import pytest

from brownout.proxy.scheduler import LoopScheduler


def _factory(loop: str) -> Callable[[], asyncio.AbstractEventLoop]:
    return asyncio.new_event_loop if loop == "asyncio" else pytest.importorskip("uvloop").new_event_loop


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_no_callback_is_early_and_every_one_comes(loop: str) -> None:
    async def scenario() -> list[float]:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        rng = Random(1)
        late: list[float] = []
        done = asyncio.Event()

        def called(when: float) -> None:
            late.append(scheduler.now() - when)
            if len(late) == 300:
                done.set()

        for _ in range(300):
            when = scheduler.now() + rng.random() * 0.05
            scheduler.call_at(when, partial(called, when))
        async with asyncio.timeout(10):
            await done.wait()
        return late

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        late = runner.run(scenario())
    assert min(late) >= 0
    # Most are punctual; a loaded machine may delay some.
    assert sorted(late)[150] < 0.05


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_moment_in_the_past_is_called_soon_but_not_at_once(loop: str) -> None:
    async def scenario() -> None:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        done = asyncio.Event()
        scheduler.call_at(scheduler.now() - 1, done.set)
        assert not done.is_set()
        async with asyncio.timeout(10):
            await done.wait()

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
@pytest.mark.parametrize("seconds", [-1.0, 0.001, 1e12])
def test_a_cancelled_callback_never_comes(loop: str, seconds: float) -> None:
    async def scenario() -> None:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        called = asyncio.Event()
        scheduler.call_at(scheduler.now() + seconds, called.set).cancel()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02):
                await called.wait()

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        runner.run(scenario())


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_calls_come_in_the_order_of_their_moments_whatever_the_order_they_were_asked_for(loop: str) -> None:
    async def scenario() -> list[int]:
        scheduler = LoopScheduler(asyncio.get_running_loop())
        start = scheduler.now()
        seen: list[int] = []
        done = asyncio.Event()
        for number in (5, 1, 4, 2, 3):
            scheduler.call_at(start + number * 0.004, partial(seen.append, number))
        scheduler.call_at(start + 0.03, done.set)
        async with asyncio.timeout(10):
            await done.wait()
        return seen

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        assert runner.run(scenario()) == [1, 2, 3, 4, 5]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_a_call_that_fails_keeps_no_other_from_coming(loop: str) -> None:
    async def scenario() -> list[str]:
        running = asyncio.get_running_loop()
        failures: list[str] = []
        running.set_exception_handler(lambda _loop, context: failures.append(str(context["exception"])))
        scheduler = LoopScheduler(running)
        done = asyncio.Event()

        def fail() -> None:
            raise ValueError("broken")

        now = scheduler.now()
        scheduler.call_at(now + 0.005, fail)
        scheduler.call_at(now + 0.005, done.set)
        async with asyncio.timeout(10):
            await done.wait()
        return failures

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        assert runner.run(scenario()) == ["broken"]


@pytest.mark.parametrize("loop", ["uvloop", "asyncio"])
def test_what_a_call_asks_for_at_once_comes_after_the_loop_has_had_its_turn(loop: str) -> None:
    async def scenario() -> list[str]:
        running = asyncio.get_running_loop()
        scheduler = LoopScheduler(running)
        seen: list[str] = []
        done = asyncio.Event()

        def first() -> None:
            running.call_soon(seen.append, "the loop")
            scheduler.call_at(scheduler.now(), second)

        def second() -> None:
            seen.append("the second call")
            done.set()

        scheduler.call_at(scheduler.now(), first)
        async with asyncio.timeout(10):
            await done.wait()
        return seen

    with asyncio.Runner(loop_factory=_factory(loop)) as runner:
        assert runner.run(scenario()) == ["the loop", "the second call"]
