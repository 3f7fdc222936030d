"""Callbacks at a given moment: the one source of time for toxics and leases."""

import asyncio
import time
from collections.abc import Callable
from typing import Protocol

# A timer further off than this is re-armed on the way, because event loops refuse or overflow absurd delays.
_FARTHEST_S = 3600.0
# uvloop's timers count whole milliseconds; asking for less would spin.
_FINEST_S = 0.001


class Timer(Protocol):
    """A call that has not happened yet."""

    def cancel(self) -> None:
        """Never call back; harmless once the call has been made."""


class Scheduler(Protocol):
    """A monotonic clock in seconds, and calls at moments on it."""

    def now(self) -> float:
        """Seconds; never runs backwards."""

    def unix(self) -> float:
        """The time of day, in Unix seconds: for what is said to others, never to measure by."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Call back from the event loop once `now()` is at least `when`; never earlier, never from within this call."""


class LoopScheduler:
    """The running event loop's timers, on the monotonic clock."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop

    def now(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        return _LoopTimer(self._loop, when, callback)


class _LoopTimer:
    __slots__ = ("_callback", "_handle", "_loop", "_when")

    def __init__(self, loop: asyncio.AbstractEventLoop, when: float, callback: Callable[[], None]) -> None:
        self._loop = loop
        self._when = when
        self._callback = callback
        self._handle: asyncio.Handle = loop.call_soon(callback) if when <= time.monotonic() else self._arm()

    def cancel(self) -> None:
        self._handle.cancel()

    def _arm(self) -> asyncio.Handle:
        left = self._when - time.monotonic()
        return self._loop.call_later(min(max(left, _FINEST_S), _FARTHEST_S), self._wake)

    def _wake(self) -> None:
        # Both loops may wake a little before the moment they were given (rounding, cached loop time).
        if time.monotonic() < self._when:
            self._handle = self._arm()
        else:
            self._callback()
