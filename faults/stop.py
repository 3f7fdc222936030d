"""A service is shut down, and stays down."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Stop
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

_GRACE = Duration(30.0)


@fault
@asynccontextmanager
async def stop(system: System, *, service: ServiceName, grace: Duration = _GRACE) -> AsyncIterator[None]:
    """Ask a service to end in an orderly way, and keep it down.

    It gets the signal that its kind takes for that (SIGTERM; SIGINT for PostgreSQL, whose SIGTERM waits for clients to
    go) and may finish what it does; after the grace it is killed. It is started again, at once, when the fault ends.

    Args:
        service: who is shut down.
        grace: how long it may take; a Kubernetes pod has 30 s.
    """
    async with system.service(service).broken(Stop(grace=grace)):
        yield
