"""One way to look at something again and again, and to say so when it cannot be looked at."""

from collections.abc import Awaitable, Callable

from brownout.clock import Clock
from brownout.errors import BrownoutError

GIVE_UP_AFTER = 20
"""Looks that fail in a row before a recorder is called broken: a service that restarts is away for a while."""


class RecorderFailed(Exception):
    """A recorder saw nothing for too long: the evidence has a hole, so the run cannot be green."""


async def poll(look: Callable[[], Awaitable[None]], *, every: float, clock: Clock, name: str) -> None:
    """Look every so many seconds, until cancelled.

    Raises:
        RecorderFailed: `GIVE_UP_AFTER` looks failed in a row.
    """
    failures = 0
    at = clock.now()
    while True:
        try:
            await look()
            failures = 0
        except (OSError, ValueError, BrownoutError) as error:
            failures += 1
            if failures >= GIVE_UP_AFTER:
                msg = f"the recorder of {name} failed {failures} times in a row: {type(error).__name__}: {error}"
                raise RecorderFailed(msg) from error
        at = max(at + every, clock.now())
        await clock.sleep_until(at)
