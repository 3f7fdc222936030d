"""Connections take their time to close."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import SlowClose
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Latency

from ._milliseconds import SHORTEST


@fault
@asynccontextmanager
async def slow_close(system: System, *, from_: ServiceName, to: ServiceName, delay: Latency) -> AsyncIterator[None]:
    """Tell each side late that the other one has closed a connection.

    Data is not delayed. Connections pile up in pools and in the server's table meanwhile, and a client may go on using
    one that its server has given up long ago.

    Args:
        from_: the service that opens the connections.
        to: the service that it connects to.
        delay: how late a close, or a reset, is told; 1 ms at least.
    """
    if delay < SHORTEST:
        msg = "delay: 1ms at least"
        raise ValueError(msg)
    async with system.link(from_, to).broken(SlowClose(delay=delay)):
        yield
