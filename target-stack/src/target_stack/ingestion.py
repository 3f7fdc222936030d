"""`POST /v1/documents`: documents become vectors, rows and keyword postings."""

import asyncio

from target_stack.dependency import Attempts, Dependency
from target_stack.documents import Document
from target_stack.embedder import Embedder
from target_stack.failures import DependencyError, StackError
from target_stack.keyword import KeywordIndex
from target_stack.tombstones import Tombstones
from target_stack.vector_store import VectorStore

__all__ = ["Ingestion"]


class Ingestion:
    """Stores uploads. `timeout` in seconds, for one whole upload; `lock` is that of deletions."""

    def __init__(
        self,
        embedder: Embedder,
        store: VectorStore,
        database: Dependency,
        keyword: KeywordIndex,
        tombstones: Tombstones,
        *,
        lock: asyncio.Lock,
        timeout: float,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._database = database
        self._keyword = keyword
        self._tombstones = tombstones
        self._lock = lock
        self._timeout = timeout

    async def store(self, documents: list[Document]) -> None:
        """Store all or none; raise StackError (503) when a dependency fails. Storing again changes nothing."""
        if not documents:
            return
        try:
            async with asyncio.timeout(self._timeout):
                vectors = await self._embedder.embed_batches([f"{d.title}. {d.text}" for d in documents])
                async with self._lock, self._database.guarded(Attempts()):
                    await self._store.put(documents, vectors)
                    self._tombstones.lift(documents)
        except (DependencyError, TimeoutError) as error:
            what = error.dependency if isinstance(error, DependencyError) else "storing the upload in time"
            msg = f"The documents were not stored: {what} failed."
            raise StackError(503, msg, code="ingestion_failed") from error
        self._keyword.put(documents)
