"""What the platform that runs the services says of them: its figures, and what it did."""

from collections.abc import Callable

from brownout.clock import RunClock
from brownout.evidence.model import Event, Sample
from brownout.recorders._polling import poll
from brownout.target import HasPlatform


async def follow_readings(
    target: HasPlatform, *, clock: RunClock, add: Callable[[Sample], None], every: float = 0.5
) -> None:
    """Record the platform's figures, until cancelled.

    Raises:
        RecorderFailed: they could not be read for too long.
    """

    async def look() -> None:
        asked = clock.now()
        for one in await target.readings():
            add(Sample(asked, "target", one.metric, one.labels, one.value))

    await poll(look, every=every, clock=clock, name="the platform's figures")


async def follow_happenings(
    target: HasPlatform, *, clock: RunClock, tell: Callable[[Event], None], every: float = 0.5
) -> None:
    """Record what the platform did, each at its own time, until cancelled. What was before the run is left out.

    Raises:
        RecorderFailed: it could not be heard for too long.
    """

    async def look() -> None:
        for one in await target.happenings():
            if (at := clock.from_unix(one.at)) >= 0:
                tell(Event(at, one.kind, one.text))

    await poll(look, every=every, clock=clock, name="what the platform tells")
