"""A service gets no more memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import CapMemory, LimitMemory
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def memory_pressure(
    system: System, *, service: ServiceName, headroom: Size, manner: Literal["oom-kill", "refuse"] = "oom-kill"
) -> AsyncIterator[None]:
    """Leave a service little more memory than it has.

    What happens to the process that wants more is one of two things:

    - `oom-kill`: the kernel's OOM killer kills one of its processes (SIGKILL), as it does to a container beyond its
      `limits.memory`. A cgroup of its own limits what it touches, all its processes together; files that it has mapped
      or cached count, but are dropped first. Needs the right to make cgroups with a memory controller.
    - `refuse`: the allocation fails with ENOMEM, which is a MemoryError in Python and an "out of memory" error in
      PostgreSQL, and ends Valkey. A limit on address space (RLIMIT_AS), of each of its processes: memory that it has
      already, freed or not, it may go on using. Needs no rights.

    A service that is restarted while the fault is on is under the same limit from its start: what it had when the fault
    began, and the headroom.

    Args:
        service: who gets no more.
        headroom: what is left beyond what it has when the fault begins: to all its processes together where they are
            killed, to the largest of them where they are refused.
        manner: what happens beyond that.
    """
    breakage = CapMemory(headroom=headroom) if manner == "oom-kill" else LimitMemory(headroom=headroom)
    async with system.service(service).broken(breakage):
        yield
