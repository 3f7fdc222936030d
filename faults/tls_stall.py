"""TLS handshakes are never answered."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import StallTls
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def tls_stall(system: System, *, from_: ServiceName, to: ServiceName) -> AsyncIterator[None]:
    """Let TCP connections be made, and swallow the TLS handshake on them.

    A connect timeout does not help the client here: it is connected. Connections that are established go on, and so
    does whatever is not TLS; without any TLS on the link nothing happens, and the run says so.

    Args:
        from_: the service that opens the connections.
        to: the service whose handshakes are never answered.
    """
    async with system.link(from_, to).broken(StallTls()):
        yield
