"""Single flight: identical work that is asked for while it is under way is done once, for all who asked.

It keeps a cache stampede from the providers: when an answer is not in the cache and many ask for it at once, one call
is made. The work is a stream; who joins late gets what has come so far at once. It belongs to nobody: it goes on when
the first one leaves, and is cancelled when the last one does. Named after Go's golang.org/x/sync/singleflight, which
does the same for plain results.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable, Hashable
from contextlib import aclosing
from typing import Generic, TypeVar

from target_stack.deadline import Deadline
from target_stack.failures import out_of_time
from target_stack.patience import Patience

__all__ = ["Flight", "SingleFlight"]

T = TypeVar("T")
NAME = "single-flight"


class Flight(Generic[T]):
    """Work under way: its results so far, and those who wait for more."""

    def __init__(self) -> None:
        self.results: list[T] = []
        self.passengers = 0
        self.done = False
        self.error: Exception | None = None
        self._loop = asyncio.get_running_loop()
        self._waiting: list[asyncio.Future[None]] = []
        self._task: asyncio.Task[None] | None = None

    def start(self, work: AsyncGenerator[T, None]) -> None:
        """Do the work in a task of its own."""
        self._task = asyncio.create_task(self._run(work))

    async def _run(self, work: AsyncGenerator[T, None]) -> None:
        try:
            async with aclosing(work):
                async for result in work:
                    self.results.append(result)
                    self._wake()
        except Exception as error:
            self.error = error
        finally:
            self.done = True
            self._wake()

    def _wake(self) -> None:
        for future in self._waiting:
            if not future.done():
                future.set_result(None)
        self._waiting.clear()

    def more(self) -> asyncio.Future[None]:
        """Return what is done when there are more results, or none will come."""
        future = self._loop.create_future()
        self._waiting.append(future)
        return future

    async def cancel(self) -> None:
        """End the work, and return when it has ended."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})


class SingleFlight(Generic[T]):
    """All work under way, by key."""

    def __init__(self) -> None:
        self._flights: dict[Hashable, Flight[T]] = {}

    def __len__(self) -> int:
        return len(self._flights)

    def is_flying(self, key: Hashable) -> bool:
        """Whether who joins now would share the work of another."""
        return key in self._flights

    async def join(
        self, key: Hashable, work: Callable[[], AsyncGenerator[T, None]], *, deadline: Deadline
    ) -> AsyncGenerator[T, None]:
        """Yield the results of the work under this key, which is begun when there is none yet.

        Raises what the work raises, and DependencyError when this passenger's own time is up. The caller closes the
        generator (`contextlib.aclosing`).
        """
        flight = self._flights.get(key)
        if flight is None:
            flight = self._flights[key] = Flight()
            flight.start(work())
        flight.passengers += 1
        patience = Patience()
        try:
            seen = 0
            while True:
                while seen < len(flight.results):
                    seen += 1
                    yield flight.results[seen - 1]
                if flight.done:
                    break
                try:
                    await patience.wait_for(flight.more(), deadline.left_downstream())
                except TimeoutError:
                    raise out_of_time(NAME) from None
            if flight.error is not None:
                raise flight.error
        finally:
            patience.close()
            flight.passengers -= 1
            # Work that is done is no longer joined: the next one to ask finds it in a cache, or wants it anew.
            if (flight.done or not flight.passengers) and self._flights.get(key) is flight:
                del self._flights[key]
            if not flight.passengers:
                await flight.cancel()
