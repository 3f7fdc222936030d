"""`POST /v1/documents/delete`: a tombstone at once, in the database as soon as there is one, the vector in the end."""

import asyncio
from collections.abc import Iterable

from target_stack.clock import Clock
from target_stack.dependency import Attempts, Dependency
from target_stack.editions import Editions
from target_stack.failures import DependencyError
from target_stack.keyword import KeywordIndex
from target_stack.tombstones import Name, Tombstones
from target_stack.vector_store import VectorStore

__all__ = ["Deletion"]


class Deletion:
    """Deletes documents. Whoever else writes documents holds `lock`, so that an upload and a deletion have an order.

    `retry` and `purge` are in seconds: between two tries to store tombstones, and between two removals of what they
    are of from the database and the keyword index.
    """

    def __init__(
        self,
        tombstones: Tombstones,
        store: VectorStore,
        database: Dependency,
        keyword: KeywordIndex,
        clock: Clock,
        *,
        editions: Editions,
        lock: asyncio.Lock,
        retry: float,
        purge: float,
    ) -> None:
        self._tombstones = tombstones
        self._store = store
        self._database = database
        self._keyword = keyword
        self._editions = editions
        self._clock = clock
        self._lock = lock
        self._retry = retry
        self._purge = purge

    async def delete(self, names: Iterable[Name]) -> bool:
        """Hide documents from now on; return whether that would survive a restart already."""
        names = list(names)
        self._tombstones.bury(names)
        self._editions.drop(names)
        return await self.store_pending()

    async def store_pending(self) -> bool:
        """Write down what the database does not know yet; return whether it knows everything now."""
        async with self._lock:
            pending = self._tombstones.pending
            if not pending:
                return True
            try:
                await self._database.call(lambda: self._store.bury(pending), Attempts())
            except DependencyError:
                return False  # counted by the breaker and the metrics, and tried again
            self._tombstones.stored(pending)
            return True

    async def purge(self) -> None:
        """Remove what lies under a tombstone; what cannot be removed now is the next time."""
        async with self._lock:
            try:
                purged = await self._database.call(self._store.purge, Attempts())
            except DependencyError:
                return
            self._keyword.drop(purged)

    async def run(self) -> None:
        """Never return."""
        purged_at = self._clock.monotonic()
        while True:
            await asyncio.sleep(self._retry)
            await self.store_pending()
            if self._clock.monotonic() - purged_at >= self._purge:
                if self._tombstones.count:
                    await self.purge()
                purged_at = self._clock.monotonic()
