"""One way to look at something again and again, and to say so when it cannot be looked at."""

import asyncio
from collections.abc import Awaitable, Callable

from brownout.clock import Clock
from brownout.errors import BrownoutError

PATIENCE = 10.0
"""Seconds without a look that succeeded, after which a recorder is called broken: a service that restarts is away for
a while. Not scaled: services restart at their own pace."""
SLACK = 2.0
"""Seconds, beside three periods, that the last look may be old when a recorder is ended."""


class RecorderFailed(BrownoutError):
    """A recorder saw nothing for too long: the evidence has a hole, so the run cannot be green."""


async def poll(
    look: Callable[[], Awaitable[None]],
    *,
    every: float,
    clock: Clock,
    name: str,
    away: Callable[[], bool] = lambda: False,
) -> None:
    """Look every so many seconds, until cancelled.

    Args:
        look: raises `OSError`, `ValueError` or `BrownoutError` where it cannot see.
        every: seconds.
        clock: the run's.
        name: what it looks at, for people.
        away: whether that is known not to be there: then nothing is missed, and a look that fails counts for nothing.

    Raises:
        RecorderFailed: no look succeeded for `PATIENCE` seconds, be it that one hangs; or, on being cancelled, none
            ever did or the last one is too old.
    """
    seen: float | None = None
    last: Exception | None = None
    at = began = clock.now()
    try:
        while True:
            try:
                await _looked(look)
                seen = clock.now()
            except (OSError, ValueError, BrownoutError) as error:
                last = error
                since = began if seen is None else seen
                if away():
                    seen = clock.now()
                elif clock.now() - since >= PATIENCE:
                    raise _failed(name, f"saw nothing for {clock.now() - since:.1f} s", error) from error
            at = max(at + every, clock.now())
            await clock.sleep_until(at)
    except asyncio.CancelledError:
        # Whoever ends a recorder that is blind must hear of it. One that was hardly begun is not: no look met anything,
        # and there was no time for more.
        never = seen is None and last is not None
        if never or clock.now() - (began if seen is None else seen) > 3 * every + SLACK:
            met = last or TimeoutError("its look did not end")
            raise _failed(name, "never saw anything" if seen is None else "was blind at the end", met) from last
        raise


async def _looked(look: Callable[[], Awaitable[None]]) -> None:
    """One that hangs is as blind as one that fails, and would not even say so."""
    limit = asyncio.timeout(PATIENCE)
    try:
        async with limit:
            await look()
    except TimeoutError as error:
        if not limit.expired():
            raise
        msg = f"a look did not end within {PATIENCE:g} s"
        raise TimeoutError(msg) from error


def _failed(name: str, what: str, last: Exception) -> RecorderFailed:
    return RecorderFailed(f"the recorder of {name} {what}: {type(last).__name__}: {last}")
