"""Two services cannot reach each other."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import Blackhole, Reset
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

_SHORTEST = 0.1


@fault
@asynccontextmanager
async def partition(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    manner: Literal["blackhole", "reset"] = "blackhole",
    direction: Literal["both", "to", "from"] = "both",
    cycle: Duration | None = None,
) -> AsyncIterator[None]:
    """Sever the link from one service to another.

    Connections that are open when it begins are severed too.

    Args:
        from_: the service that opens the connections.
        to: the service that it can no longer reach.
        manner: `blackhole` swallows everything and answers nothing, as a dropped route or a dead switch does: the
            caller learns of it by its own timeout alone. `reset` answers with a TCP RST, as a crashed server or a
            restarted load balancer does: the caller learns of it at once.
        direction: what a blackhole swallows. `to`: only what is sent to the service, which so never hears what it is
            asked. `from`: only what comes from it, which so does its work and nobody hears of it.
        cycle: with it the link comes and goes: severed for the first half of each cycle, whole for the second.
    """
    if manner == "reset" and direction != "both":
        msg = f"direction: {direction} is for a blackhole; a reset ends a connection for both"
        raise ValueError(msg)
    if cycle is not None and cycle < _SHORTEST:
        msg = f"cycle: {_SHORTEST * 1000:.0f}ms is the shortest"
        raise ValueError(msg)
    seconds = cycle or 0.0
    severed = Blackhole(direction=direction, cycle=seconds) if manner == "blackhole" else Reset(cycle=seconds)
    async with system.link(from_, to).broken(severed):
        yield
