"""A node that a service runs on is emptied."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Drain
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def drain(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Cordon a node that a service runs on, and evict what runs there, as an upgrade of the node does.

    Only pods of the service's own namespace are evicted, each as soon as its PodDisruptionBudget allows; the others'
    owners have allowed nothing. The node takes pods again when the fault ends.

    Args:
        service: whose node it is, or that of one of its replicas.
    """
    async with system.service(service).broken(Drain()):
        yield
