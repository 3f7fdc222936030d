"""A service is rolled out with less memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import SetMemoryLimit
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def memory_limit(system: System, *, service: ServiceName, limit: Size) -> AsyncIterator[None]:
    """Roll a service out with a memory limit, as somebody who saves in the wrong place does.

    A replica that needs more is killed by the kernel's OOM killer, and again each time it was started. For a limit on
    what a running process may take beyond what it has, see `memory_pressure`. In the end the limit is what it was.

    Args:
        service: who is rolled out.
        limit: bytes a replica, its `limits.memory`; a larger `requests.memory` is lowered as well.
    """
    async with system.service(service).broken(SetMemoryLimit(limit=limit)):
        yield
