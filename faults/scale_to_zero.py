"""A service has no replicas."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import ScaleToZero
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def scale_to_zero(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Take away all replicas of a service, as a scaling rule gone wrong does.

    An autoscaler leaves a workload without replicas alone. In the end it is given as many as it had, unless somebody
    else has scaled it meanwhile.

    Args:
        service: who has none.
    """
    async with system.service(service).broken(ScaleToZero()):
        yield
