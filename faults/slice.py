"""Answers arrive in small pieces."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Slice
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Latency, Size

_NONE, _NO_SIZE = Latency(0.0), Size(0)


@fault
@asynccontextmanager
async def slice_(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    size: Size,
    variation: Size = _NO_SIZE,
    delay: Latency = _NONE,
) -> AsyncIterator[None]:
    """Cut what one service answers to another into small pieces.

    Nothing is lost and nothing changes its order, so a correct client notices nothing but the pauses. One that takes a
    read for a message, or splits a character of UTF-8 in two, is found out.

    Args:
        from_: the service that asks.
        to: the service whose answers are cut up.
        size: of a piece, on average; 1 B at least.
        variation: by how much the size of a piece may differ from that.
        delay: the pause after each piece.
    """
    if size < 1 or variation >= size:
        msg = "size: at least 1 B, and more than variation" if size < 1 else "variation: must be less than size"
        raise ValueError(msg)
    async with system.link(from_, to).broken(Slice(size=size, variation=variation, delay=delay)):
        yield
