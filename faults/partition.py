"""Two services cannot reach each other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import Blackhole, Reset
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def partition(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    manner: Literal["blackhole", "reset"] = "blackhole",
) -> AsyncIterator[None]:
    """Sever the link from one service to another.

    Connections that are open when it begins are severed too.

    Args:
        from_: the service that opens the connections.
        to: the service that it can no longer reach.
        manner: `blackhole` swallows everything and answers nothing, as a dropped route or a dead switch does: the
            caller learns of it by its own timeout alone. `reset` answers with a TCP RST, as a crashed server or a
            restarted load balancer does: the caller learns of it at once.
    """
    async with system.link(from_, to).broken(Blackhole() if manner == "blackhole" else Reset()):
        yield
