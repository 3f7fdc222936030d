"""A service hangs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Freeze
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def freeze(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Stop every process of a service where it is (SIGSTOP), and let them go on when the fault ends (SIGCONT).

    It keeps its port, its connections and its memory, and the kernel goes on accepting connections for it until its
    backlog is full: callers learn of it by their own timeouts alone. It is what a long garbage collection, a stuck disk
    or a paused virtual machine looks like. Processes that it started are stopped too, whatever session they are in; a
    service that is restarted while the fault is on is stopped as soon as it is up.

    Args:
        service: who hangs.
    """
    async with system.service(service).broken(Freeze()):
        yield
