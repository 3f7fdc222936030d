"""Callbacks at a given moment: the one source of time for toxics and leases."""

import asyncio
import heapq
import time
from collections.abc import Callable
from itertools import count
from typing import Protocol

from brownout.proxy.alarm import Alarm

_NEVER = float("inf")
# So many calls at one wake-up: event loops write at the end of a turn, and the first of a crowd shall not wait for the
# last.
_AT_ONCE = 8
# Cancelled calls are forgotten when their moment comes, or when they are that many and half of all.
_FEW = 128


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
        """Call back from the event loop once `now()` is at least `when`; never earlier, never from within this call.

        Calls come in the order of their moments, and those for the same moment in the order they were asked for.
        """


class LoopScheduler:
    """Calls from an event loop, on the monotonic clock: a heap of calls, and one alarm for the first of them."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Raises OSError: the system gives no timer."""
        self._loop = loop
        self._alarm = Alarm(loop, self._ring)
        self._alarm_at = _NEVER
        self._calls: list[tuple[float, int, _Call]] = []
        self._numbers = count()
        self._cancelled = 0

    def now(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        call = _Call(self, callback)
        heapq.heappush(self._calls, (when, next(self._numbers), call))
        if when < self._alarm_at:
            self._set_alarm(when)
        return call

    def close(self) -> None:
        """Call nobody any more; harmless if done before. To be used no further."""
        self._alarm.close()
        self._calls.clear()

    def forget_one(self) -> None:
        """For timers: one of the calls was cancelled."""
        self._cancelled += 1
        if self._cancelled > max(_FEW, len(self._calls) // 2):
            self._calls = [item for item in self._calls if item[2].callback is not None]
            heapq.heapify(self._calls)
            self._cancelled = 0

    def _ring(self) -> None:
        now = time.monotonic()
        due: list[_Call] = []
        while self._calls and self._calls[0][0] <= now and len(due) < _AT_ONCE:
            call = heapq.heappop(self._calls)[2]
            if call.callback is None:
                self._cancelled -= 1
            else:
                call.scheduler = None
                due.append(call)
        # What these calls ask for cannot come before what is left: the alarm is set once, after them.
        self._alarm_at = -_NEVER
        try:
            for call in due:
                self._make(call)
        finally:
            self._set_alarm(self._calls[0][0] if self._calls else _NEVER)

    def _make(self, call: "_Call") -> None:
        callback, call.callback = call.callback, None
        if callback is None:  # cancelled by one before it
            return
        try:
            callback()
        except Exception as exc:
            # As the loop does with a callback of its own that fails: it is told, and the others have their turn.
            self._loop.call_exception_handler({"message": f"{callback!r} failed", "exception": exc})

    def _set_alarm(self, when: float) -> None:
        self._alarm_at = when
        if when == _NEVER:
            self._alarm.clear()
        else:
            self._alarm.set(when)


class _Call:
    __slots__ = ("callback", "scheduler")

    def __init__(self, scheduler: LoopScheduler, callback: Callable[[], None]) -> None:
        self.scheduler: LoopScheduler | None = scheduler
        """None once its moment has come."""
        self.callback: Callable[[], None] | None = callback
        """None once it was made or cancelled."""

    def cancel(self) -> None:
        if self.callback is not None:
            self.callback = None
            if self.scheduler is not None:
                self.scheduler.forget_one()
