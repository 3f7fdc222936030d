"""One replica of a service is asked to go."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import Evict
from brownout.fault import fault
from brownout.system import ServiceFamily, System


@fault
@asynccontextmanager
async def evict(system: System, *, service: ServiceFamily) -> AsyncIterator[None]:
    """Evict one of the replicas of a service, as an upgrade of its node would.

    The eviction API is asked, which a PodDisruptionBudget may refuse: then nothing is broken, and the run is not green,
    since what was to be seen was not. Chance picks the replica, as for `pod_kill`. It may end in an orderly way, and
    what heals it is whatever keeps the service running.

    Args:
        service: the service, without a number: `inference` where the replicas are inference-1, inference-2, ...
    """
    async with system.one_of(service).broken(Evict()):
        yield
