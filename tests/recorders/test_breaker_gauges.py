"""Breakers' states, read off a gauge of a real HTTP server's metrics."""

import asyncio

import httpx
import pytest

from brownout.clock import RunClock
from brownout.evidence.model import Transition
from brownout.recorders import follow_breaker_gauge
from brownout.recorders._polling import RecorderFailed
from brownout.target import BreakerGauge, Source
from tests.recorders.test_recorders import Hurried, served

GAUGE = BreakerGauge("breaker_state", "of", {0.0: "closed", 1.0: "half-open", 2.0: "open"})
METRICS = """\
# TYPE breaker_state gauge
breaker_state{of="llm"} %s
breaker_state{of="cache"} 0
breaker_state{} 2
# TYPE other gauge
other{of="llm"} 7
"""


def test_the_first_state_and_every_change_are_recorded_when_they_are_seen() -> None:
    values = iter(["0", "0", "2", "1", "0"])
    found: list[Transition] = []
    over = asyncio.Event()

    def respond(path: str, head: str) -> tuple[int, str]:
        value = next(values, None)
        if value is None:
            over.set()
        return 200, METRICS % (value or "0")

    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "app", f"{url}/metrics", breakers=GAUGE)
        recorder = follow_breaker_gauge(source, GAUGE, client=client, clock=RunClock(), add=found.append, every=0.01)
        task = asyncio.create_task(recorder)
        async with asyncio.timeout(60.0):
            await over.wait()
        task.cancel()
        await asyncio.wait({task})

    served(respond, use)

    of_llm = [(one.old, one.new) for one in found if one.dependency == "llm"]
    assert of_llm == [(None, "closed"), ("closed", "open"), ("open", "half-open"), ("half-open", "closed")]
    assert [(one.old, one.new) for one in found if one.dependency == "cache"] == [(None, "closed")]
    assert len(found) == 5
    assert [one.at for one in found] == sorted(one.at for one in found)
    assert found[2].reason == "breaker_state is 2"


def test_a_value_that_is_no_state_makes_the_recorder_fail() -> None:
    async def use(url: str, client: httpx.AsyncClient) -> None:
        source = Source("prometheus", "app", f"{url}/metrics", breakers=GAUGE)
        with pytest.raises(RecorderFailed, match=r"breaker_state of llm is 3, which is no state of a breaker"):
            await follow_breaker_gauge(source, GAUGE, client=client, clock=Hurried(), add=lambda _: None)

    served(lambda path, head: (200, METRICS % "3"), use)
