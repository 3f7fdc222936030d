"""The abort of a drill: asked for once, with who and why, and from then on nothing is broken any more."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from brownout.report.text import line

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Asked:
    """Who wanted it over, why, and when."""

    by: str
    """A person, `SIGINT`, `the heartbeat`, or the experiment whose own condition it was."""
    why: str
    at: datetime


class Abort:
    """Set once; whoever waits through `unless` is woken by it. For one event loop."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.asked: Asked | None = None
        """None while nobody has."""
        self._now = now
        self._event = asyncio.Event()

    def ask(self, by: str, why: str) -> bool:
        """Have it over. False where somebody had asked before: the first reason is kept."""
        if self.asked is not None:
            return False
        self.asked = Asked(line(by, limit=80), line(why, limit=300), self._now())
        self._event.set()
        return True

    async def wait(self) -> Asked:
        """Returns once it has been asked for."""
        await self._event.wait()
        assert self.asked is not None  # noqa: S101 - set before the event is
        return self.asked

    async def unless(self, work: Awaitable[T]) -> T | None:
        """The outcome of `work`; it is cancelled, and the outcome None, once the abort has been asked for."""
        task, stop = asyncio.ensure_future(work), asyncio.ensure_future(self.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            return None if self.asked is not None else task.result()
        finally:
            for one in (task, stop):
                if not one.done():
                    one.cancel()
                    with contextlib.suppress(asyncio.CancelledError):
                        await one
