"""A service gets too little CPU."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import StarveCpu
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Share


@fault
@asynccontextmanager
async def cpu_starvation(
    system: System, *, service: ServiceName, share: Share, manner: Literal["quota", "duty-cycle"] | None = None
) -> AsyncIterator[None]:
    """Give a service, all its processes together, no more than a share of one core.

    Two ways to do that, which differ in what an idle service feels:

    - `quota`: a cgroup of its own with a CPU limit (cgroup v1 or v2), as a container with `limits.cpu` has it. In each
      100 ms it runs freely until its share is used up, then not at all. Needs the right to make cgroups.
    - `duty-cycle`: SIGSTOP and SIGCONT in turns, every 100 ms, whatever it has to do. Needs no rights; even a request
      that costs no CPU waits for its turn.

    Args:
        service: who is starved.
        share: of one core.
        manner: how; where it is not said, `quota` if this machine lets us and `duty-cycle` if not. The fault's proof
            says which it was.
    """
    if not 0.01 <= share < 1:
        msg = "share must be at least 1% and below 100%"
        raise ValueError(msg)
    async with system.service(service).broken(StarveCpu(share=share, manner=manner)):
        yield
