"""A service is off the network."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Disconnect
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def disconnect(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Take a service off the network, from everybody at once.

    It goes on running and knows nothing of it. Packets to it, those of open connections included, are lost below TCP:
    no one is told, as with a pulled cable or a dead switch. `partition` severs one link, and where it is the fault
    proxy that does it the two ends of the link still have a peer that acknowledges what they send. Needs a target with
    a network of its own.

    Args:
        service: who is off.
    """
    async with system.service(service).broken(Disconnect()):
        yield
