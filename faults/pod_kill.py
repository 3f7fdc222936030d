"""One replica of a service dies."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Kill
from brownout.fault import fault
from brownout.system import ServiceFamily, System


@fault
@asynccontextmanager
async def pod_kill(system: System, *, service: ServiceFamily) -> AsyncIterator[None]:
    """Kill one of the replicas of a service with SIGKILL, as a lost node or an eviction takes a pod.

    Chance picks it: the run's seed decides in which order the replicas are taken, and none is taken again before each
    of the others was. The evidence and the report name the one that was killed. What heals it is whatever keeps the
    service running, as for `kill`.

    Args:
        service: the service, without a number: `inference` where the replicas are inference-1, inference-2, ...
    """
    async with system.one_of(service).broken(Kill()):
        yield
