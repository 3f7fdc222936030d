"""One timer for many waits: each is as limited as it would be by a timer of its own."""

import asyncio
import math
from collections.abc import Awaitable, Callable

import pytest

from target_stack.patience import SLACK_S, Patience


def patiently(scenario: Callable[[Patience], Awaitable[None]]) -> None:
    async def play() -> None:
        patience = Patience()
        try:
            await scenario(patience)
        finally:
            patience.close()

    asyncio.run(play())


async def later(seconds: float, result: str) -> str:
    await asyncio.sleep(seconds)
    return result


def test_what_comes_in_time_is_returned_and_what_does_not_is_cancelled() -> None:
    async def scenario(patience: Patience) -> None:
        never = asyncio.get_running_loop().create_future()
        assert await patience.wait_for(later(0.01, "first"), 5) == "first"
        began = asyncio.get_running_loop().time()
        with pytest.raises(TimeoutError):
            await patience.wait_for(never, 0.1)
        assert 0.1 - SLACK_S <= asyncio.get_running_loop().time() - began < 2
        assert never.cancelled()
        assert await patience.wait_for(later(0.01, "second"), 5) == "second"

    patiently(scenario)


@pytest.mark.parametrize("limits", [[5, 0.05], [0.05, 5], [math.inf, 0.05], [0.05, math.inf]])
def test_each_wait_has_its_own_limit_whether_it_ends_before_the_last_one_or_after(limits: list[float]) -> None:
    async def scenario(patience: Patience) -> None:
        for limit in limits:
            assert await patience.wait_for(later(0.0, "soon"), limit) == "soon"
        for limit in limits:
            if limit < 1:
                with pytest.raises(TimeoutError):
                    await patience.wait_for(later(3, "late"), limit)
            else:
                assert await patience.wait_for(later(0.1, "in time"), limit) == "in time"

    patiently(scenario)


def test_time_that_passes_between_two_waits_does_not_count() -> None:
    async def scenario(patience: Patience) -> None:
        assert await patience.wait_for(later(0.0, "one"), 0.05) == "one"
        await asyncio.sleep(0.1)
        assert await patience.wait_for(later(0.02, "two"), 5) == "two"

    patiently(scenario)


def test_no_time_left_is_late_at_once() -> None:
    async def scenario(patience: Patience) -> None:
        with pytest.raises(TimeoutError):
            await patience.wait_for(later(3, "late"), 0)

    patiently(scenario)


def test_a_task_that_another_cancels_is_cancelled_and_not_late() -> None:
    async def play() -> None:
        async def wait() -> None:
            await Patience().wait_for(later(3, "late"), 5)

        task = asyncio.create_task(wait())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(play())


def test_only_a_task_can_be_patient() -> None:
    async def play() -> None:
        raised = asyncio.get_running_loop().create_future()

        def make() -> None:
            try:
                Patience()
            except RuntimeError as error:
                raised.set_result(str(error))

        asyncio.get_running_loop().call_soon(make)
        assert await raised == "only a task can be patient"

    asyncio.run(play())
