"""A service gets no more memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import LimitMemory
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def memory_limit(system: System, *, service: ServiceName, headroom: Size) -> AsyncIterator[None]:
    """Refuse every process of a service more memory than it has, but for some headroom.

    A limit on its address space (RLIMIT_AS, set on the running processes): an allocation that needs more fails with
    ENOMEM, which is a MemoryError in Python and an "out of memory" error in PostgreSQL, and ends Valkey. Memory that a
    process has already, freed or not, it may go on using. The address space counts, which is more than what is
    resident, and nobody is killed by the kernel: it is not what a cgroup's limit does. A service that is restarted
    while the fault is on has the same limit from its start.

    Args:
        service: who gets no more.
        headroom: what is left to each process, beyond what the largest of them has when the fault begins.
    """
    async with system.service(service).broken(LimitMemory(headroom=headroom)):
        yield
