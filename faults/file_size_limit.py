"""A service cannot write to its files."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import LimitFileSize
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size

_NOTHING = Size(0)


@fault
@asynccontextmanager
async def file_size_limit(system: System, *, service: ServiceName, at_most: Size = _NOTHING) -> AsyncIterator[None]:
    """Let no process of a service write to any file beyond a number of bytes.

    The nearest to a full disk that can be done to one service without a disk of its own: a limit on the size of files
    (RLIMIT_FSIZE, set on the running processes). A write beyond it fails with EFBIG, where a full disk says ENOSPC,
    even where the file is that long already; memory-mapped writes pass. Each such write raises SIGXFSZ as well, which
    PostgreSQL and Python ignore and which ends a program that does not. Its log is a file too. A service that is
    restarted while the fault is on has the limit from its start.

    Args:
        service: who cannot write.
        at_most: how much of each file can be written; with 0B nothing can.
    """
    async with system.service(service).broken(LimitFileSize(at_most=at_most)):
        yield
