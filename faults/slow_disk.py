"""A service's disk is slow."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import SlowDisk
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size


@fault
@asynccontextmanager
async def slow_disk(system: System, *, service: ServiceName, per_second: Size) -> AsyncIterator[None]:
    """Let a service read and write no more than so many bytes per second, each way.

    A cgroup of its own limits what goes to and from the disk on which its files lie. What it reads from the page cache
    is as fast as ever. With cgroup v1 so is what it writes without waiting for the disk: only direct I/O and fsync are
    slow; with v2 all writing is. A fault during which nothing went to or from the disk has shown nothing, and its proof
    says so. Needs the right to make cgroups, and a disk: no limit holds on a tmpfs.

    Args:
        service: whose disk is slow.
        per_second: bytes per second.
    """
    if per_second < 1:
        msg = "per-second must be at least 1B; for a disk that takes nothing more there is file_size_limit"
        raise ValueError(msg)
    async with system.service(service).broken(SlowDisk(rate=per_second)):
        yield
