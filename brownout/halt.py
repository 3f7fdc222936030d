"""Stopping a run: one reason, and every wait returns at once."""

import asyncio
import contextlib
from collections.abc import Awaitable
from typing import TypeVar

from brownout.errors import BrownoutError

T = TypeVar("T")


class Stopped(BrownoutError):
    """The run was stopped: by an abort condition, a person, or a failure of our own."""


class Halt:
    """Set once, with the reason; whoever waits through `unless` is woken by it."""

    def __init__(self) -> None:
        self.reason: str | None = None
        self._event = asyncio.Event()

    def __call__(self, reason: str) -> bool:
        """Stop. False where that had been done before: the first reason is kept."""
        if self.reason is not None:
            return False
        self.reason = reason
        self._event.set()
        return True

    def check(self) -> None:
        """Raises `Stopped` once stopped."""
        if self.reason is not None:
            raise Stopped(self.reason)

    async def unless(self, work: Awaitable[T]) -> T:
        """The outcome of `work`, which is cancelled if the run is stopped first.

        Raises:
            Stopped: the run was stopped before or meanwhile, even if the work was done in the same instant.
        """
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._event.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            self.check()
            return task.result()
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
