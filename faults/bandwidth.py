"""A link is narrow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Throttle
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Bandwidth

_KB = 1000
_COARSE = 10 * _KB
"""From here on, a rate that is rounded to whole kB/s, in which links are throttled, is within 5 % of what was said."""


@fault
@asynccontextmanager
async def bandwidth(system: System, *, from_: ServiceName, to: ServiceName, rate: Bandwidth) -> AsyncIterator[None]:
    """Let no connection between two services carry more than a rate.

    Whoever sends faster is held back, as by a saturated line: small requests hardly notice, long answers and uploads
    take their time.

    Args:
        from_: the service that opens the connections.
        to: the service that it connects to.
        rate: what each connection gets, in each direction; 1 kB/s at least, and in whole kB/s below 10 kB/s.
    """
    if rate < _KB:
        msg = "rate: 1 kB/s is the least"
        raise ValueError(msg)
    if rate < _COARSE and rate % _KB:
        msg = f"rate: whole kB/s below 10 kB/s, such as {round(rate / _KB)}kB/s"
        raise ValueError(msg)
    async with system.link(from_, to).broken(Throttle(rate=rate)):
        yield
