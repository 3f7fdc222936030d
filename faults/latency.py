"""Answers come late."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Delay
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Latency

_NONE = Latency(0.0)


@fault
@asynccontextmanager
async def latency(
    system: System, *, from_: ServiceName, to: ServiceName, latency: Latency, jitter: Latency = _NONE
) -> AsyncIterator[None]:
    """Delay what one service answers to another.

    Every piece of an answer is delayed, in order; requests are not. With a jitter the delay is drawn evenly between
    `latency - jitter` and `latency + jitter`, anew for each piece.

    Args:
        from_: the service that asks.
        to: the service whose answers come late.
        latency: how late they come.
        jitter: how much that varies.
    """
    async with system.link(from_, to).broken(Delay(latency=latency, jitter=jitter)):
        yield
