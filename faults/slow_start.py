"""A service dies and takes long to come back."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Kill, SlowStart
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration


@fault
@asynccontextmanager
async def slow_start(system: System, *, service: ServiceName, delay: Duration) -> AsyncIterator[None]:
    """Kill a service (SIGKILL), and start it later than it would be.

    What stands for the time that a start takes elsewhere (a node to be found, an image to be pulled, a model to be
    loaded) is a wait before its program is started at all: until then nothing listens on its port. When the fault ends
    a wait that still lasts is cut short.

    Args:
        service: who dies.
        delay: by how much its start is late, beyond the usual back-off.
    """
    if delay <= 0:
        msg = "delay must be above 0"
        raise ValueError(msg)
    place = system.service(service)
    async with place.broken(SlowStart(delay=delay)), place.broken(Kill()):
        yield
