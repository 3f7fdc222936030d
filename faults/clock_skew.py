"""A service's clock is wrong."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import SkewClock
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Latency


@fault
@asynccontextmanager
async def clock_skew(
    system: System, *, service: ServiceName, by: Latency, direction: Literal["ahead", "behind"] = "ahead"
) -> AsyncIterator[None]:
    """Restart a service with another wall clock, and restart it again with the right one when the fault ends.

    What is shifted is what its processes are told when they ask for the time (libfaketime, preloaded): expiry times,
    token lifetimes, what it logs. Monotonic clocks and the times of files stay true. The first restart is orderly, the
    second a kill; neither waits for a back-off, and both are seen in the evidence. Needs libfaketime, and a service
    that is dynamically linked.

    Args:
        service: whose clock is wrong.
        by: how wrong it is; not scaled with the run.
        direction: whether it is ahead or behind.
    """
    if by <= 0:
        msg = "by must be above 0"
        raise ValueError(msg)
    async with system.service(service).broken(SkewClock(seconds=by if direction == "ahead" else -by)):
        yield
