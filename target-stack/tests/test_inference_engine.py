"""The engine's loop on a real event loop: what each request is told, and when."""

import asyncio
import random
from collections.abc import Awaitable, Callable

import pytest
from fakes import FakeMemory

from target_stack.clock import SystemClock
from target_stack.inference.blocks import SLAB_BYTES, BlockPool
from target_stack.inference.engine import Engine, EngineDeadError, Generation, RejectedError
from target_stack.inference.metrics import WorkerMetrics
from target_stack.inference.pace import Pace
from target_stack.inference.scheduler import OnOom, Scheduler, SchedulerConfig


class Rig:
    def __init__(self, on_oom: OnOom = OnOom.PREEMPT, *, step: float = 0.001) -> None:
        # One block, one slab, four tokens.
        self.memory = FakeMemory(8 * SLAB_BYTES)
        self.scheduler = Scheduler(
            BlockPool(self.memory, blocks=8, block_bytes=SLAB_BYTES),
            SchedulerConfig(block_size=4, max_num_seqs=4, max_num_batched_tokens=64, on_oom=on_oom),
        )
        self.metrics = WorkerMetrics("model")
        pace = Pace(step=step, prompt_token=0, sequence=0)
        self.engine = Engine(self.scheduler, pace, SystemClock(), random.Random(1), self.metrics)

    def submit(self, prompt: int, output: int) -> Generation:
        return self.engine.submit(prompt_tokens=prompt, output_tokens=output, finish_reason="stop")

    def sample(self, name: str, **labels: str) -> float:
        value = self.metrics.registry.get_sample_value(name, {"model_name": "model", "engine": "0", **labels})
        return value or 0.0


async def whole(generation: Generation, output: int) -> list[int]:
    told = [0]
    async with generation:
        while told[-1] < output:
            told.append(await generation.progress())
    return told


async def until(check: Callable[[], bool]) -> None:
    while not check():  # noqa: ASYNC110 -- a state without an event
        await asyncio.sleep(0.001)


def play(rig: Rig, scene: Callable[[], Awaitable[None]]) -> None:
    async def run() -> None:
        running = asyncio.create_task(rig.engine.run())
        async with asyncio.timeout(60):
            await scene()
        running.cancel()
        await asyncio.wait({running})

    asyncio.run(run())


def test_each_request_is_told_of_its_tokens_in_order_to_the_last() -> None:
    rig = Rig()

    async def scene() -> None:
        told = await asyncio.gather(*(whole(rig.submit(2, n), n) for n in (1, 5, 9)))
        assert [one[-1] for one in told] == [1, 5, 9]
        assert all(one == sorted(set(one)) for one in told)
        assert rig.scheduler.idle
        assert rig.sample("vllm:generation_tokens_total") == 15
        assert rig.sample("vllm:prompt_tokens_total") == 6
        assert rig.sample("vllm:request_success_total", finished_reason="stop") == 3
        assert rig.sample("vllm:time_to_first_token_seconds_count") == 3
        assert rig.sample("vllm:inter_token_latency_seconds_count") == 12

    play(rig, scene)


def test_a_request_pays_for_its_first_step_also_after_the_engine_was_idle() -> None:
    rig = Rig(step=0.03)

    async def scene() -> None:
        await whole(rig.submit(2, 1), 1)
        await asyncio.sleep(0.1)
        since = SystemClock().monotonic()
        await whole(rig.submit(2, 1), 1)
        assert SystemClock().monotonic() - since > 0.02

    play(rig, scene)


def test_a_request_that_is_left_gives_its_memory_back() -> None:
    rig = Rig()

    async def scene() -> None:
        async with rig.submit(20, 10**9) as generation:
            await generation.progress()
            assert rig.memory.held
        assert rig.memory.held == 0
        assert rig.sample("vllm:request_success_total", finished_reason="abort") == 1
        assert await whole(rig.submit(2, 2), 2)

    play(rig, scene)


def test_a_rejected_request_is_told_and_the_others_go_on() -> None:
    rig = Rig(OnOom.REJECT)

    async def scene() -> None:
        rig.memory.capacity = 2 * SLAB_BYTES
        small = asyncio.create_task(whole(rig.submit(2, 6), 6))
        with pytest.raises(RejectedError):
            await whole(rig.submit(16, 2), 2)
        assert (await small)[-1] == 6
        assert not rig.engine.dead
        assert rig.sample("inference_out_of_memory_total") == 1
        assert rig.sample("vllm:request_success_total", finished_reason="error") == 1

    play(rig, scene)


def test_while_memory_is_away_requests_wait_and_are_served_when_it_is_back() -> None:
    rig = Rig()

    async def scene() -> None:
        assert await whole(rig.submit(2, 1), 1)
        rig.memory.capacity = 0
        waiting = asyncio.create_task(whole(rig.submit(2, 3), 3))
        await until(lambda: rig.sample("inference_out_of_memory_total") >= 3)
        assert not waiting.done()
        rig.memory.capacity = 8 * SLAB_BYTES
        assert (await waiting)[-1] == 3

    play(rig, scene)


def test_a_dead_engine_fails_everyone_and_takes_nobody() -> None:
    rig = Rig(OnOom.DIE)

    async def scene() -> None:
        running = asyncio.create_task(whole(rig.submit(2, 10**9), 10**9))
        await until(lambda: bool(rig.scheduler.running))
        rig.memory.capacity = 0
        with pytest.raises(EngineDeadError):
            await whole(rig.submit(16, 1), 1)
        with pytest.raises(EngineDeadError):
            await running
        assert rig.engine.dead
        with pytest.raises(EngineDeadError):
            rig.submit(1, 1)
        assert rig.sample("vllm:request_success_total", finished_reason="error") == 2

    play(rig, scene)


def test_an_engine_that_has_no_memory_at_all_does_not_come_up() -> None:
    rig = Rig(OnOom.PREEMPT)
    rig.memory.capacity = 0

    async def scene() -> None:
        await until(lambda: rig.engine.dead)

    play(rig, scene)


def test_whatever_goes_wrong_in_the_loop_nobody_waits_for_ever() -> None:
    class Lost(Exception):
        """A device that fell off the bus."""

    rig = Rig(OnOom.PREEMPT)

    def lost(size: int) -> int:
        raise Lost

    async def scene() -> None:
        assert await whole(rig.submit(2, 1), 1)
        rig.memory.allocate = lost  # type: ignore[method-assign]
        with pytest.raises(EngineDeadError):
            await whole(rig.submit(2, 1), 1)

    play(rig, scene)
