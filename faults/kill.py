"""A service dies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Kill
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def kill(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Kill a service with SIGKILL, once.

    All its processes go at the same moment, as a container's do: nothing is flushed, no connection is closed in an
    orderly way. What it held in memory is gone, what it had written to a file is not.

    Leaving heals nothing: what heals it is whatever keeps the service running. On the embedded target that is its
    supervisor, which starts it again after a back-off of 1 s, 2 s, 4 s, ... up to 30 s, times the run's scale. The
    probe `restart` judges that; so let `for` be as long as the restart may take.

    Args:
        service: who is killed.
    """
    async with system.service(service).broken(Kill()):
        yield
