"""A service crashes again each time it comes up."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import CrashLoop
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration

_UP_FOR = Duration(1.0)


@fault
@asynccontextmanager
async def crash_loop(system: System, *, service: ServiceName, up_for: Duration = _UP_FOR) -> AsyncIterator[None]:
    """Kill a service (SIGKILL), and kill it again some time after each restart.

    The waits between its restarts grow, as they do for any service that keeps crashing: on the embedded target 1 s,
    2 s, 4 s, ... up to 30 s, times the run's scale. When the fault ends nothing kills it any more, but the wait that it
    is in is not cut short.

    Args:
        service: who crashes.
        up_for: how long it lives each time.
    """
    async with system.service(service).broken(CrashLoop(up_for=up_for)):
        yield
