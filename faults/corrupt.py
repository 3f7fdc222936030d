"""Answers are damaged on the way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Corrupt
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Share


@fault
@asynccontextmanager
async def corrupt(
    system: System, *, from_: ServiceName, to: ServiceName, share: Share, seed: int | None = None
) -> AsyncIterator[None]:
    """Flip a bit now and then in what one service answers to another.

    As bad memory in a network device does: checksums on the way are right, because they are computed afterwards.

    Args:
        from_: the service that asks.
        to: the service whose answers are damaged.
        share: in what share of all bytes one bit is flipped; 0.1% is one in a thousand.
        seed: with a seed, 1 or more, the same bits flip in every connection and in every run.
    """
    if share <= 0 or (seed is not None and not 0 < seed < 2**63):
        msg = "share: must be above 0%" if share <= 0 else "seed: must be between 1 and 2^63-1"
        raise ValueError(msg)
    async with system.link(from_, to).broken(Corrupt(share=share, seed=seed)):
        yield
