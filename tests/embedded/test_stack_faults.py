"""Faults on the real services of the reference stack: what its users see meanwhile, and that all of it comes back."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from brownout.breakage import (
    Breakage,
    CapMemory,
    ExhaustFds,
    ExhaustGpuMemory,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    LinkPlace,
    ProviderFailure,
    ServicePlace,
    SkewClock,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.broken import BrokenSpan
from brownout.clock import RunClock
from brownout.evidence.model import Proof
from brownout.faults.kill import kill
from brownout.fixtures.embedded.data import tenants
from brownout.fixtures.embedded.machine import lacking
from brownout.fixtures.embedded.processes import until
from brownout.fixtures.embedded.stack import SERVICES
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName
from brownout.target import ServiceState
from tests.embedded.helpers import PATIENCE, Up

pytestmark = [pytest.mark.process, pytest.mark.long]

QUESTION = "What do the documents say about opening hours?"


def unless_lacking(kind: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(kind in lacking(), reason=lacking().get(kind, ""))


async def level(up: Up, tenant: str = "") -> int:
    answer = await up.ask(tenant or tenants()[0], QUESTION)
    assert answer.status_code == 200, answer.text
    return int(answer.json()["serving"]["degradation_level"])


async def state(up: Up, name: str) -> ServiceState:
    return next(one for one in await up.target.services() if one.name == name)


async def eventually(holds: Callable[[], Awaitable[bool]], *, within: float = PATIENCE) -> None:
    async with asyncio.timeout(within):
        await until(holds, every=0.05)


async def ready(up: Up, name: str, *, restarts: int, within: float = PATIENCE) -> ServiceState:
    async def is_ready() -> bool:
        now = await state(up, name)
        return now.ready and now.restarts == restarts

    await eventually(is_ready, within=within)
    return await state(up, name)


async def whole(up: Up) -> None:
    """Wait until answers are fresh again."""

    async def fresh() -> bool:
        return {await level(up, tenant) for tenant in tenants()} == {0}

    await eventually(fresh)


@asynccontextmanager
async def broken(up: Up, name: str, breakage: Breakage) -> AsyncIterator[Callable[[], Awaitable[Proof]]]:
    """Broken for as long as it lasts; gives what asks for the proof."""
    place, lease = ServicePlace(name), f"{breakage.kind}.{time.monotonic()}"
    await up.target.inject(place, breakage, lease=lease, ttl=60.0)
    try:
        yield lambda: up.target.prove(place, breakage, lease=lease)
    finally:
        await up.target.heal(place, breakage, lease=lease)


def test_every_service_is_up_and_ready(up: Up) -> None:
    async def play() -> None:
        services = {one.name: one for one in await up.target.services()}
        assert set(services) == set(SERVICES)
        assert all(one.up and one.ready for one in services.values())
        assert {one.pid for one in services.values()} <= {
            process.pid for process in psutil.Process(up.target.recovery()["supervisor"]["pid"]).children()
        }

    up.runner.run(play())


def test_a_provider_that_fails_one_tenant_fails_no_other(up: Up) -> None:
    place = LinkPlace("gateway", "llm-primary")
    breakage = ProviderFailure(provider="openai", failure="server_error", tenant=tenants()[0])

    async def provider(tenant: str) -> str:
        answer = await up.ask(tenant, QUESTION)
        assert answer.status_code == 200, answer.text
        return str(answer.json()["serving"]["provider"])

    async def play() -> None:
        await up.target.inject(place, breakage, lease="one-tenant", ttl=60.0)
        try:
            answered_by = [await provider(tenant) for tenant in tenants()]
            assert answered_by == ["llm-secondary", *["llm-primary"] * (len(tenants()) - 1)]
            figures = (await up.target.prove(place, breakage, lease="one-tenant")).figures
            assert (figures["matched_requests"], figures["failed_requests"]) == (1, 1)
            assert figures["requests"] == len(tenants())
        finally:
            await up.target.heal(place, breakage, lease="one-tenant")
        assert await provider(tenants()[0]) == "llm-primary"

    up.runner.run(play())


def test_a_killed_database_recovers_from_its_data_and_the_stack_with_it(up: Up) -> None:
    async def play() -> None:
        before = await ready(up, "vector-db", restarts=0)
        spans: list[BrokenSpan] = []
        errors: list[str] = []
        with Ledger.open() as ledger:
            ledger.begin(RunRow("run-1", current(), "embedded", up.target.recovery(), Path(), time.time()))
            live = LiveSystem(up.target, ledger, "run-1", clock=RunClock(), on_error=errors.append)
            async with kill(live.watched(spans.append), service=ServiceName("vector-db")):
                assert await level(up) == 1
                after = await ready(up, "vector-db", restarts=1)
                await whole(up)
        assert errors == []
        assert after.pid != before.pid
        proof = spans[-1].proof
        assert proof is not None
        assert proof.works, proof.summary
        assert 1.0 <= proof.figures["back_after"] < 15.0
        # Nothing was lost: documents are found for everybody, as before.
        await whole(up)

    up.runner.run(play())


def test_a_database_that_is_shut_down_stays_down_and_comes_back_at_once(up: Up) -> None:
    async def play() -> None:
        async def is_down() -> bool:
            return not (await state(up, "vector-db")).up

        restarts = (await state(up, "vector-db")).restarts
        async with broken(up, "vector-db", Stop(grace=10.0)) as prove:
            await eventually(is_down)
            assert await level(up) == 1
            assert "its process exited with status 0 after" in (await prove()).summary
        await ready(up, "vector-db", restarts=restarts + 1)
        await whole(up)

    up.runner.run(play())


def test_a_frozen_database_is_stopped_with_every_backend(up: Up) -> None:
    async def play() -> None:
        await whole(up)
        pid = (await state(up, "vector-db")).pid
        async with broken(up, "vector-db", Freeze()) as prove:
            backends = [one for one in psutil.Process(pid).children() if one.status() != psutil.STATUS_ZOMBIE]
            assert len(backends) >= 5
            assert {one.status() for one in backends} == {psutil.STATUS_STOPPED}
            # The group of the server alone would have been too few.
            assert pid not in {os.getpgid(one.pid) for one in backends}
            assert await level(up) == 1
            assert not (await state(up, "vector-db")).up
            proof = await prove()
        assert proof.works, proof.summary
        assert proof.figures["processes"] > len(backends)
        await whole(up)
        assert (await state(up, "vector-db")).pid == pid

    up.runner.run(play())


def test_a_frozen_cache_costs_nobody_an_answer(up: Up) -> None:
    async def play() -> None:
        async with broken(up, "cache", Freeze()) as prove:
            await whole(up)
            cache = await state(up, "cache")
            assert (cache.up, cache.ready) == (False, False)
            proof = await prove()
        assert proof.works, proof.summary
        await ready(up, "cache", restarts=0)

    up.runner.run(play())


def test_a_killed_cache_comes_back_empty(up: Up) -> None:
    async def play() -> None:
        await whole(up)
        async with broken(up, "cache", Kill()) as prove:
            await ready(up, "cache", restarts=1)
            assert (await prove()).works
        async with broken(up, "vector-db", Freeze()):
            answer = (await up.ask(tenants()[0], QUESTION)).json()["serving"]
        # With what the cache held before, it would have been `cached`.
        assert answer["retrieval"] == "keyword"
        await whole(up)

    up.runner.run(play())


def test_a_killed_gateway_comes_back_behind_the_same_door(up: Up) -> None:
    async def play() -> None:
        door = up.target.door().url
        async with broken(up, "gateway", Kill()) as prove:
            await ready(up, "gateway", restarts=1)
            assert (await prove()).works
        assert up.target.door().url == door
        await whole(up)

    up.runner.run(play())


def test_without_its_first_provider_the_second_answers(up: Up) -> None:
    async def play() -> None:
        async with broken(up, "llm-primary", SlowStart(delay=60.0)) as prove:
            async with broken(up, "llm-primary", Kill()) as prove_kill:
                await asyncio.sleep(1.5)  # longer than its back-off
                answer = (await up.ask(tenants()[0], QUESTION)).json()["serving"]
                assert (answer["provider"], answer["degradation_level"]) == ("llm-secondary", 0)
                assert (await prove_kill()).works
            proof = await prove()
        assert proof.works, proof.summary
        await ready(up, "llm-primary", restarts=1)

    up.runner.run(play())


@pytest.mark.parametrize(
    ("name", "breakage"),
    [
        ("vector-db", ExhaustFds()),
        ("vector-db", LimitFileSize(at_most=0)),
        ("vector-db", LimitMemory(headroom=0)),
        ("embedding", ExhaustGpuMemory(leave=2**20, memory="host")),
        pytest.param("vector-db", CapMemory(headroom=2**20), marks=unless_lacking(CapMemory.kind)),
        pytest.param("vector-db", SkewClock(seconds=7200.0), marks=unless_lacking(SkewClock.kind)),
    ],
    ids=lambda one: getattr(one, "kind", one),
)
def test_a_service_that_is_short_of_something_is_well_again_afterwards(up: Up, name: str, breakage: Breakage) -> None:
    async def play() -> None:
        async with broken(up, name, breakage) as prove:
            for _ in range(5):
                assert (await up.ask(tenants()[0], QUESTION)).status_code == 200
            await asyncio.sleep(0.3)
            proof = await prove()
        assert proof.works, proof.summary
        await whole(up)

    up.runner.run(play())


def test_a_gateway_that_is_short_of_processor_answers_late(up: Up) -> None:
    async def play() -> None:
        async with broken(up, "gateway", StarveCpu(share=0.05)) as prove:
            # Different questions at once: what a cache answers, or one after the other, is little work.
            answers = await asyncio.gather(*(up.ask(tenants()[0], f"{QUESTION} ({n})") for n in range(8)))
            assert {one.status_code for one in answers} == {200}
            proof = await prove()
        assert proof.works, proof.summary
        await whole(up)

    up.runner.run(play())
