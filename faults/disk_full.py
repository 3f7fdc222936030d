"""A service's disk is full."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import FillDisk
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def disk_full(system: System, *, service: ServiceName, leave: Size = Size(0)) -> AsyncIterator[None]:
    """Fill the disk that a service keeps its data on.

    A file of somebody else's takes what is free: what the service wants to write from then on fails with ENOSPC. What
    it has, it can read. Needs a target on which a service has a disk of its own, so that nobody else's is filled.

    Args:
        service: whose disk is full.
        leave: what is left.
    """
    async with system.service(service).broken(FillDisk(leave=leave)):
        yield
