"""`POST /v1/documents`: documents become vectors, rows and keyword postings."""

import asyncio
from collections.abc import Mapping

from target_stack.asgi import cancel
from target_stack.dependency import Attempts, Dependency
from target_stack.documents import Document
from target_stack.editions import Editions
from target_stack.embedder import Embedder
from target_stack.failures import DependencyError, StackError
from target_stack.inspection import Flaw, Inspector
from target_stack.keyword import KeywordIndex
from target_stack.log import log
from target_stack.quarantine import Quarantine
from target_stack.tombstones import Name, Tombstones
from target_stack.vector_store import VectorStore

__all__ = ["Ingestion"]


class Ingestion:
    """Stores uploads, and acknowledges them when they are stored; what has a corrupt vector goes into quarantine.

    `timeout` in seconds, for one whole upload; `lock` is that of deletions. Unless `durable`, an upload is acknowledged
    at once: what then fails, fails unseen.
    """

    def __init__(
        self,
        embedder: Embedder,
        store: VectorStore,
        database: Dependency,
        keyword: KeywordIndex,
        tombstones: Tombstones,
        *,
        editions: Editions,
        quarantine: Quarantine,
        inspector: Inspector,
        lock: asyncio.Lock,
        timeout: float,
        durable: bool = True,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._database = database
        self._keyword = keyword
        self._tombstones = tombstones
        self._editions = editions
        self._quarantine = quarantine
        self._inspector = inspector
        self._lock = lock
        self._timeout = timeout
        self._durable = durable
        self._unseen: set[asyncio.Task[None]] = set()

    async def store(self, documents: list[Document]) -> Mapping[Name, Flaw]:
        """Store all or none; raise StackError (503) when a dependency fails. Storing again changes nothing.

        Return what went into quarantine instead, as far as that is known already.
        """
        if self._durable:
            return await self._store_now(documents)
        task = asyncio.create_task(self._store_unseen(documents))
        self._unseen.add(task)
        task.add_done_callback(self._ended)
        return {}

    async def _store_unseen(self, documents: list[Document]) -> None:
        await self._store_now(documents)

    async def aclose(self) -> None:
        """Give up on whatever was acknowledged and is not stored yet."""
        if self._unseen:
            await cancel(*self._unseen)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._unseen.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("an acknowledged upload was not stored", extra={"error": type(error).__name__})

    async def stored(self) -> list[str]:
        """The ids of all documents that the vector database holds; raise StackError (503) when it does not tell."""
        try:
            async with asyncio.timeout(self._timeout), self._database.guarded(Attempts()):
                return await self._store.ids()
        except (DependencyError, TimeoutError) as error:
            raise StackError(503, "The documents cannot be listed now.", code="listing_failed") from error

    async def _store_now(self, documents: list[Document]) -> Mapping[Name, Flaw]:
        if not documents:
            return {}
        try:
            async with asyncio.timeout(self._timeout):
                vectors = await self._embedder.embed_batches([f"{d.title}. {d.text}" for d in documents])
                async with self._lock, self._database.guarded(Attempts()):
                    flaws, sound = await self._put(documents, vectors)
        except (DependencyError, TimeoutError) as error:
            what = error.dependency if isinstance(error, DependencyError) else "storing the upload in time"
            msg = f"The documents were not stored: {what} failed."
            raise StackError(503, msg, code="ingestion_failed") from error
        self._keyword.put(sound)
        self._editions.put(sound)
        return flaws

    async def _put(
        self, documents: list[Document], vectors: list[list[float]]
    ) -> tuple[Mapping[Name, Flaw], list[Document]]:
        """Store what is sound; return what is not, and what is."""
        flaws = self._inspector.admit(documents, vectors) if self._quarantine.enabled else {}
        pairs = [(d, v) for d, v in zip(documents, vectors, strict=True) if (d.tenant, d.id) not in flaws]
        sound = [document for document, _ in pairs]
        try:
            await self._store.put(sound, [vector for _, vector in pairs], quarantined=flaws)
        except BaseException:
            # Nobody knows whether they are stored, nor then which vector is the right one.
            self._inspector.forget((document.tenant, document.id) for document in documents)
            raise
        self._tombstones.lift(sound)
        self._quarantine.release(sound)
        self._quarantine.hold(flaws, found_at="ingestion")
        self._quarantine.stored(flaws)
        return flaws, sound
