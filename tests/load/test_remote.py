"""Load from another process, which stands in for another place: it is this run's load, on this run's clock."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from brownout.api import JsonApi
from brownout.clock import RunClock
from brownout.evidence.recording import Recording
from brownout.experiment import Load
from brownout.load import Asker, Stream, offer
from brownout.load.order import LIMIT, Order, order_in, order_out
from brownout.load.remote import LoadLost, Remote
from brownout.target import Caller, Door, Question
from brownout.units import Duration, Latency, Rate
from tests.kubernetes.tiny_door import answering

pytestmark = pytest.mark.process
QUESTIONS = {
    "golden": [
        Question("capital", "default", "What is the capital of France?", facts=("Paris",)),
        Question("other", "default", "And of Spain?", sources=("a", "b")),
    ]
}
CALLERS = (Caller("default", "default", "secret"),)


@asynccontextmanager
async def generator() -> AsyncIterator[tuple[Remote, asyncio.subprocess.Process]]:
    command = [sys.executable, "-m", "brownout.load", "--port", "0"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    try:
        said = re.search(rb"port (\d+)", await process.stdout.readline())
        assert said is not None
        remote = Remote(*await asyncio.open_connection("127.0.0.1", int(said[1]), limit=LIMIT), place="here")
        await remote.synchronise()
        try:
            yield remote, process
        finally:
            await remote.close()
        async with asyncio.timeout(60):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def order(url: str, *loads: Load, until: float) -> Order:
    return Order(Door(url, CALLERS), loads, QUESTIONS, seed=7, until=until, grace=30.0)


def test_another_process_asks_the_same_questions_at_the_same_times_as_this_one_would() -> None:
    loads = [Load(rate=Rate(40.0), stream=False), Load(name="spike", rate=Rate(20.0), stream=False, at=Duration(0.5))]
    here, there = Recording(), Recording()

    async def play(url: str) -> None:
        clock = RunClock()
        async with (
            Asker(url, loads[0], record=here, clock=clock) as one,
            Asker(url, loads[1], record=here, clock=clock) as other,
        ):
            streams = [
                Stream.of(load, questions=QUESTIONS["golden"], callers=CALLERS, seed=7, ask=asker.ask)
                for load, asker in zip(loads, (one, other), strict=True)
            ]
            await offer(streams, until=1.0, clock=clock, grace=30.0)
        async with generator() as (remote, _):
            clock = RunClock()
            await remote.offer(order(url, *loads, until=1.0), there, clock=clock)
            assert remote.asked["spike"] == sum(one.load == "spike" for one in there.requests) > 0
            # Both processes have one clock here, so its zero must come out as it is.
            assert all(one.intended <= one.sent <= (one.done or 0.0) <= clock.now() + 0.1 for one in there.requests)

    with answering() as url:
        asyncio.run(play(url))

    assert [(one.id, one.intended, one.question, one.load) for one in there.requests] == [
        (one.id, one.intended, one.question, one.load) for one in here.requests
    ]
    assert {(one.outcome, one.claims, one.claims_supported) for one in there.requests} == {("ok", 1, 1), ("ok", 0, 0)}


def test_a_load_that_is_cut_short_ends_and_its_last_rows_arrive() -> None:
    record = Recording()

    async def play(url: str) -> None:
        async with generator() as (remote, _):
            clock = RunClock()
            task = asyncio.create_task(
                remote.offer(order(url, Load(rate=Rate(50.0), stream=False), until=600.0), record, clock=clock)
            )
            while record.count < 5:  # noqa: ASYNC110 - a recording has no event
                await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.wait({task})
            assert task.cancelled()
            assert len(record.requests) == remote.asked[None]

    with answering() as url:
        asyncio.run(play(url))


def test_a_generator_that_dies_is_told_as_that() -> None:
    async def play(url: str) -> None:
        async with generator() as (remote, process):
            process.kill()
            await process.wait()
            await remote.offer(order(url, Load(stream=False), until=600.0), Recording(), clock=RunClock())

    with answering() as url, pytest.raises(LoadLost, match="the load from here has ended"):
        asyncio.run(play(url))


def test_an_order_is_the_same_on_the_other_side() -> None:
    api = JsonApi("/ask", ("a", "0"), template={"q": "{question}"}, headers={"x-key": "k"})
    load = Load(name="free", rate=Rate(3.0), deadline=Latency(2.0))
    said = Order(Door("http://x", CALLERS, api), [load], QUESTIONS, seed=1, until=9.0, grace=2.0, zero=5.0)
    assert order_in(order_out(said)) == said
