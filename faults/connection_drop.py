"""Some connections fail, and the next one works."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import DropConnections
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def connection_drop(
    system: System, *, from_: ServiceName, to: ServiceName, first: int = 0, every: int = 0
) -> AsyncIterator[None]:
    """Reset connections by their number: the first few, or every third one.

    Connections that are open when it begins are reset too, since who keeps them would make no new one. A client with
    one retry gets over `every: 2`; over `first: 3` it needs three.

    Args:
        from_: the service that opens the connections.
        to: the service that it connects to.
        first: how many new connections are reset at the beginning.
        every: reset every connection whose number this divides, counted from 1; 1 resets them all.
    """
    if min(first, every) < 0 or max(first, every) >= 2**31 or first == every == 0:
        msg = "give first or every, at least 1"
        raise ValueError(msg)
    async with system.link(from_, to).broken(DropConnections(first=first, every=every)):
        yield
