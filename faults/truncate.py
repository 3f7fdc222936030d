"""Answers are cut off."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Truncate
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def truncate(system: System, *, from_: ServiceName, to: ServiceName, after: Size) -> AsyncIterator[None]:
    """Close each connection once it has carried so many bytes of answers.

    The close is an orderly one, in mid-sentence: only a client that knows how much should have come, or waits for an
    end marker, can tell that something is missing.

    Args:
        from_: the service that asks.
        to: the service whose answers are cut off.
        after: how much of its answers each connection carries, counted from when the fault begins.
    """
    async with system.link(from_, to).broken(Truncate(after=after)):
        yield
