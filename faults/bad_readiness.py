"""A service is rolled out so that it is never ready."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import FailReadiness
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def bad_readiness(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Roll a service out with a readiness probe that always fails, as a bad release does.

    Its new replicas run and get no traffic. As with `image_pull_failure`, the rollout strategy decides what is left of
    the old ones. In the end the probe is what it was.

    Args:
        service: who is rolled out.
    """
    async with system.service(service).broken(FailReadiness()):
        yield
