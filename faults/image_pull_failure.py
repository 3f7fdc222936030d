"""A service is rolled out with an image that there is not."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import FailImagePull
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def image_pull_failure(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Roll a service out with an image that cannot be pulled, as a wrong tag does.

    A rollout strategy that waits for the new replicas keeps the old ones, and nobody notices; one that does not takes
    them away. In the end the image is what it was.

    Args:
        service: who is rolled out.
    """
    async with system.service(service).broken(FailImagePull()):
        yield
