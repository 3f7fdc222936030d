"""Answers come late."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import Delay
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Duration, Latency

from ._milliseconds import refuse_shorter

_NONE = Latency(0.0)
_SHORTEST = 0.1


@fault
@asynccontextmanager
async def latency(
    system: System,
    *,
    from_: ServiceName,
    to: ServiceName,
    latency: Latency,
    jitter: Latency = _NONE,
    course: Literal["steady", "ramp", "square", "random"] = "steady",
    period: Duration | None = None,
    seed: int = 0,
) -> AsyncIterator[None]:
    """Delay what one service answers to another.

    Every piece of an answer is delayed, in order; requests are not. With a jitter the delay is drawn evenly between
    `latency - jitter` and `latency + jitter`, anew for each piece.

    Args:
        from_: the service that asks.
        to: the service whose answers come late.
        latency: how late they come; 1 ms at least, unless a jitter alone makes them late.
        jitter: how much that varies; 1 ms at least.
        course: how the latency changes while the fault is on. `ramp`: it grows evenly from nothing in one period, and
            stays. `square`: it is there for half a period and gone for the other half. `random`: it is drawn evenly
            from between nothing and `latency`, anew for each period.
        period: of the course.
        seed: of a random course, which is the same in every run; another seed, another course.
    """
    if (course == "steady") != (period is None) or (period is not None and period < _SHORTEST):
        msg = f"period: 100ms at least with course: {course}" if course != "steady" else "period: needs a course"
        raise ValueError(msg)
    if not 0 <= seed < 2**63 or (seed and course != "random"):
        msg = "seed: needs course: random, and must be between 0 and 2^63-1"
        raise ValueError(msg)
    refuse_shorter(latency=latency, jitter=jitter)
    # A ramp and a random course are courses of the latency, whatever the jitter.
    if not latency and (not jitter or course in {"ramp", "random"}):
        msg = "latency: 1ms at least"
        raise ValueError(msg)
    delay = Delay(latency=latency, jitter=jitter, course=course, period=period or 0.0, seed=seed)
    async with system.link(from_, to).broken(delay):
        yield
