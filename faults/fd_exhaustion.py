"""A service has used up its file descriptors."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from brownout.breakage import ExhaustFds
from brownout.fault import fault
from brownout.system import ServiceName, System


@fault
@asynccontextmanager
async def fd_exhaustion(system: System, *, service: ServiceName, spare: int = 0) -> AsyncIterator[None]:
    """Let the processes of a service open no more files and connections, as if they had leaked descriptors.

    The limit on descriptors (RLIMIT_NOFILE) of the running processes is lowered to what they have open: whatever they
    have they may go on using, and a number that they close they may use again, but anything more fails with EMFILE. So
    a server goes on answering on its open connections and accepts no others. A process that comes up in the place of
    one that died of it has its descriptors again, as after any leak.

    Args:
        service: who has no descriptors left.
        spare: how many each process may still open.
    """
    if spare < 0:
        msg = "spare must not be negative"
        raise ValueError(msg)
    async with system.service(service).broken(ExhaustFds(spare=spare)):
        yield
