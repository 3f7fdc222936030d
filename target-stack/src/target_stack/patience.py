"""A time limit on each of many waits, one after the other.

`asyncio.timeout` makes and cancels a timer for every wait; of a stream's tokens each waits for the next, and hardly one
of them too long. Here one timer serves them all: when it goes off before the present wait's time it is set again.
"""

import asyncio
import math
from collections.abc import Awaitable
from typing import TypeVar

__all__ = ["Patience"]

T = TypeVar("T")
TIMER_STEP_S = 0.001
"""Event loops count in whole milliseconds: a timer may go off so much too early."""


class Patience:
    """One task at a time waits with it. Whoever made it closes it."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._until = math.inf
        self._waiting: asyncio.Task[object] | None = None
        self._late = False

    def close(self) -> None:
        """Take the timer down."""
        if self._timer is not None:
            self._timer.cancel()

    async def wait_for(self, work: Awaitable[T], limit: float) -> T:
        """Return the result; raise TimeoutError when it has taken so many seconds, after it was cancelled."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 -- a coroutine runs in one
        self._until = self._loop.time() + limit
        if self._until < self._timer_at:
            self._set_timer()
        self._waiting, self._late, cancelling = task, False, task.cancelling()
        try:
            return await work
        except asyncio.CancelledError as error:
            # Whoever else has cancelled the task must see it cancelled.
            if self._late and task.uncancel() <= cancelling:
                raise TimeoutError from error
            raise
        finally:
            self._waiting = None

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, self._until
        if self._until < math.inf:
            self._timer = self._loop.call_at(self._until, self._go_off)

    def _go_off(self) -> None:
        self._timer, self._timer_at = None, math.inf
        if self._waiting is None:
            return  # the next wait sets it
        if self._until - self._loop.time() > TIMER_STEP_S:
            self._set_timer()
            return
        self._late = True
        self._waiting.cancel()
