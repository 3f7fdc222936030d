"""A fault is a context manager: entering it breaks something, leaving it heals it.

    @fault
    @asynccontextmanager
    async def partition(system: System, *, from_: ServiceName, to: ServiceName) -> AsyncIterator[None]:
        async with system.link(from_, to).broken(Blackhole()):
            yield

Its keyword-only parameters are what an experiment may say of it (`from_` is written `from`). What a fault breaks, it
breaks on entering: before a run starts every fault is entered once against a `Plan`, which breaks nothing and notes
what would be broken, so that a target that cannot do it is refused in time. Register it under the entry point group
`brownout.faults`.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Concatenate, ParamSpec

from brownout.system import System

P = ParamSpec("P")
FaultFunction = Callable[Concatenate[System, P], AbstractAsyncContextManager[None]]


def fault(function: FaultFunction[P]) -> FaultFunction[P]:
    """Mark an async context manager as a fault.

    Raises:
        TypeError: it takes no system first, or a parameter is not keyword-only.
    """
    from brownout.parameters import check_declaration  # noqa: PLC0415 - a fault's own module stays light to import

    check_declaration(function, first="system")
    function.__brownout__ = "fault"  # type: ignore[attr-defined]
    return function
