"""A link is narrow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Throttle
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Bandwidth


@fault
@asynccontextmanager
async def bandwidth(system: System, *, from_: ServiceName, to: ServiceName, rate: Bandwidth) -> AsyncIterator[None]:
    """Let no connection between two services carry more than a rate.

    Whoever sends faster is held back, as by a saturated line: small requests hardly notice, long answers and uploads
    take their time.

    Args:
        from_: the service that opens the connections.
        to: the service that it connects to.
        rate: what each connection gets, in each direction; 1 kB/s at least.
    """
    if rate < 1000:
        msg = "rate: 1 kB/s is the least"
        raise ValueError(msg)
    async with system.link(from_, to).broken(Throttle(rate=rate)):
        yield
