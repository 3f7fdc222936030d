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
SLACK_S = 0.005
"""So much a wait may be off its limit. Event loops count in whole milliseconds, and their clock stands still while they
do one thing after the other: without slack, waits that are to end at the same moment would set the timer every time.
"""


class Patience:
    """For the task that makes it, which waits for one thing at a time and closes it when it waits for nothing more."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        self._until = math.inf
        task = asyncio.current_task()
        if task is None:
            msg = "only a task can be patient"
            raise RuntimeError(msg)
        self._task = task
        self._waiting = False
        self._late = False

    def close(self) -> None:
        """Take the timer down."""
        if self._timer is not None:
            self._timer.cancel()

    async def wait_for(self, work: Awaitable[T], limit: float) -> T:
        """Return the result; raise TimeoutError when it has taken so many seconds, after it was cancelled."""
        self._until = self._loop.time() + limit
        if self._until < self._timer_at - SLACK_S:
            self._set_timer()
        self._waiting, self._late, cancelling = True, False, self._task.cancelling()
        try:
            return await work
        except asyncio.CancelledError as error:
            # Whoever else has cancelled the task must see it cancelled.
            if self._late and self._task.uncancel() <= cancelling:
                raise TimeoutError from error
            raise
        finally:
            self._waiting = False

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, self._until
        if self._until < math.inf:
            self._timer = self._loop.call_at(self._until, self._go_off)

    def _go_off(self) -> None:
        self._timer, self._timer_at = None, math.inf
        if not self._waiting:
            return  # the next wait sets it
        if self._until - self._loop.time() > SLACK_S:
            self._set_timer()
            return
        self._late = True
        self._task.cancel()
