"""Time is given, never taken: whatever decides is handed a `Clock`."""

import asyncio
import time
from typing import Protocol


class Clock(Protocol):
    """Seconds since the run's start, and a way to wait for them to pass."""

    def now(self) -> float:
        """Seconds since the start of the run; never runs backwards."""

    async def sleep_until(self, at: float) -> None:
        """Return once `now()` is at least `at`; at once if it already is."""


class RunClock:
    """The wall's pace, on the monotonic clock. Also knows the Unix time of its own zero."""

    def __init__(self, *, zero: float | None = None) -> None:
        """Begins now, or at that time of the monotonic clock."""
        now = time.monotonic()
        self._zero = now if zero is None else zero
        self.started_at = time.time() - (now - self._zero)

    def now(self) -> float:
        return time.monotonic() - self._zero

    async def sleep_until(self, at: float) -> None:
        # A loop may wake a little before its timer; a fault must never be early.
        while (left := at - self.now()) > 0:  # noqa: ASYNC110 - there is no event; time passes
            await asyncio.sleep(left)

    def from_unix(self, at: float) -> float:
        """A Unix time in seconds, as seconds of this run."""
        return at - self.started_at
