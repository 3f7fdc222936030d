"""One replica of a service dies."""

import math
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from brownout.breakage import Kill
from brownout.fault import fault
from brownout.system import ServiceFamily, System
from brownout.units import Share


@fault
@asynccontextmanager
async def pod_kill(
    system: System, *, service: ServiceFamily, count: int = 1, share: Share | None = None
) -> AsyncIterator[None]:
    """Kill one of the replicas of a service with SIGKILL, or several, as a lost node or an eviction takes a pod.

    Chance picks it: the run's seed decides in which order the replicas are taken, and none is taken again before each
    of the others was. The evidence and the report name the one that was killed. What heals it is whatever keeps the
    service running, as for `kill`.

    Args:
        service: the service, without a number: `inference` where the replicas are inference-1, inference-2, ...
        count: how many of them.
        share: how many of them, as a share of all, rounded down to one at least; instead of `count`.
    """
    if count < 1:
        msg = "count: one at least"
        raise ValueError(msg)
    if share is not None and count != 1:
        msg = "count and share: one of them, not both"
        raise ValueError(msg)
    replicas = system.replicas(service)
    number = count if share is None else max(1, math.floor(share * replicas))
    if number > replicas:
        msg = f"count: {service} has {replicas} replicas"
        raise ValueError(msg)
    async with AsyncExitStack() as killed:
        for _ in range(number):
            await killed.enter_async_context(system.one_of(service).broken(Kill()))
        yield
