"""A service's name does not resolve."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import FailDns
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Latency

from ._milliseconds import refuse_shorter

_NONE = Latency(0.0)
_LONGEST = 60.0


@fault
@asynccontextmanager
async def dns_failure(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    answer: Literal["nxdomain", "servfail", "timeout", "refused", "wrong-address", "slow"] = "nxdomain",
    delay: Latency = _NONE,
    connections: Literal["close", "keep"] = "close",
) -> AsyncIterator[None]:
    """Let the name by which one service finds another fail to resolve.

    The destination is well, and so is the way to it. A client learns of the failure when it opens a new connection and
    has no answer in its cache any more; those that are open go on. Who has cached the failure goes on failing for a
    while after its end.

    Args:
        from_: the service that asks for the name.
        to: the service whose name it is.
        answer: `nxdomain`: there is no such name. `servfail`: the resolver could not find out. `refused`: it does not
            want to. `timeout`: it says nothing. `wrong-address`: an address where nothing listens, as of an instance
            that is gone. `slow`: the right address, late.
        delay: by how much the answer is late, 1 ms at least; `slow` needs one, and `timeout` can have none.
        connections: `close`: while it lasts, each connection is closed as soon as no request is under way on it, as by
            a load balancer that drains, so that the failure is felt at once. `keep`: open connections are left alone,
            and whoever keeps enough of them notices nothing.
    """
    refuse_shorter(delay=delay)
    if answer == "slow" and not delay:
        msg = "answer: slow needs a delay"
        raise ValueError(msg)
    if answer == "timeout" and delay:
        msg = "delay: an answer that never comes is not late"
        raise ValueError(msg)
    if delay > _LONGEST:
        msg = f"delay: {_LONGEST:.0f}s at most; no resolver waits longer"
        raise ValueError(msg)
    failing = FailDns(answer=answer, delay=delay, drain=connections == "close")
    async with system.link(from_, to).broken(failing):
        yield
