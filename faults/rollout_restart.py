"""A service is restarted, replica by replica."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import RolloutRestart
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def rollout_restart(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Replace every replica of a service, as `kubectl rollout restart` does.

    How many are away at once is its own rollout strategy's and its readiness probes' to say: without a readiness probe
    a replica gets traffic before it can serve. It heals by itself, once all are replaced.

    Args:
        service: who is restarted.
    """
    async with system.service(service).broken(RolloutRestart()):
        yield
