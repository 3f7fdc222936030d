"""How long a pause of an answer takes in a test."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

FOREVER = 365 * 86400.0
"""Seconds that no test lives to see."""


class WaitsForever(BaseException):
    """A client waits for an answer that never comes, and has no timeout: in production it would hang for good.

    No `Exception`, so that no fallback of the code under test takes it for a failure that it can handle.
    """


@dataclass(frozen=True, slots=True)
class Pace:
    """How pauses are spent. A client's timeouts hold at every pace: a pause that is longer than one raises it."""

    sleep: Callable[[float], None] | None = None
    async_sleep: Callable[[float], Awaitable[None]] | None = None

    def spend(self, seconds: float, limit: float | None) -> bool:
        """Let so many seconds pass; whether the client's limit was reached.

        Raises:
            WaitsForever: there is none, and no end.
        """
        if limit is None and seconds >= FOREVER:
            raise WaitsForever(_FOREVER_TEXT)
        late = limit is not None and seconds >= limit
        if self.sleep is not None:
            self.sleep(limit if late and limit is not None else seconds)
        return late

    async def aspend(self, seconds: float, limit: float | None) -> bool:
        """The same for an async client, whose caller may have a deadline of its own.

        Raises:
            WaitsForever: pauses take no time, so that no such deadline can ever come.
        """
        if limit is None and seconds >= FOREVER and self.async_sleep is None:
            raise WaitsForever(_FOREVER_TEXT)
        late = limit is not None and seconds >= limit
        if self.async_sleep is not None:
            await self.async_sleep(limit if late and limit is not None else seconds)
        return late


_FOREVER_TEXT = (
    "the provider never answers, and the client has no read timeout: it would wait forever; give the client a timeout"
    " (or, if a deadline of the caller's ends the wait, give the fault pace=REAL_TIME)"
)

INSTANT = Pace()
"""Pauses take no time. A pause that a client would not sit out raises its timeout at once."""
REAL_TIME = Pace(time.sleep, asyncio.sleep)
"""Pauses take as long as they say."""
