"""The documents behind the gateway, built from settings: where they are kept, found, uploaded and deleted."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.auth import Authenticator
from target_stack.clock import Clock
from target_stack.deletion import Deletion
from target_stack.dependency import Attempts, Dependency
from target_stack.documents import parse_documents, parse_names
from target_stack.editions import Editions
from target_stack.embedder import Embedder
from target_stack.failures import DependencyError, StackError
from target_stack.ingestion import Ingestion
from target_stack.inspection import Bounds, Inspector
from target_stack.keyword import KeywordIndex
from target_stack.metrics import GatewayMetrics
from target_stack.quarantine import Quarantine
from target_stack.retrieval import HybridSearch
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings
from target_stack.tenant_filter import TenantFilter
from target_stack.tombstones import Name, Tombstones
from target_stack.variables import required
from target_stack.vector_store import DIMENSIONS, VectorStore

__all__ = ["Library"]

T = TypeVar("T")


class Library:
    """All tenants' documents. `run` is one task of the gateway's."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        authenticator: Authenticator,
        embedder: Embedder,
        database: Dependency,
    ) -> None:
        """Raise ConfigurationError when the environment does not say where the database is."""
        self._authenticator = authenticator
        self._store = _vector_store(required(environ, "STACK_VECTOR_DB_URL"), settings)
        self._keyword = KeywordIndex()
        self._tombstones = Tombstones(enabled=settings.switch("tombstones"))
        self.editions = Editions()
        self._inspector = Inspector(Bounds.from_settings(settings, dimensions=DIMENSIONS))
        self._quarantine = Quarantine(metrics, enabled=settings.switch("quarantine"), on_hold=self.editions.drop)
        self._database = database
        self._retry = settings.number("quarantine.retry")
        self.tenants = TenantFilter.from_settings(settings)
        self.search = HybridSearch(
            embedder,
            self._store,
            database,
            self._keyword,
            tenants=self.tenants,
            tombstones=self._tombstones,
            quarantine=self._quarantine,
            inspector=self._inspector,
            candidates=settings.integer("retrieval.candidates"),
            top_k=settings.integer("retrieval.top-k"),
            rrf_k=settings.integer("retrieval.rrf-k"),
        )
        lock = self._lock = asyncio.Lock()
        self._ingestion = Ingestion(
            embedder,
            self._store,
            database,
            self._keyword,
            self._tombstones,
            editions=self.editions,
            quarantine=self._quarantine,
            inspector=self._inspector,
            lock=lock,
            timeout=settings.number("ingest.timeout"),
            durable=settings.switch("ingest.durable"),
        )
        self._deletion = Deletion(
            self._tombstones,
            self._store,
            database,
            self._keyword,
            clock,
            editions=self.editions,
            lock=lock,
            retry=settings.number("tombstones.retry"),
            purge=settings.number("tombstones.purge"),
        )
        metrics.watch_tombstones(self._tombstones)

    def routes(self) -> list[Route]:
        """Return what is served of it over HTTP."""
        return [
            Route("/v1/documents", self._upload, methods=["POST"]),
            Route("/v1/documents", self._list, methods=["GET"]),
            Route("/v1/documents/delete", self._delete, methods=["POST"]),
            Route("/v1/documents/quarantine", self._list_quarantine, methods=["GET"]),
        ]

    async def prepare(self) -> None:
        """Read everything that is kept in memory; raise DependencyError where the database does not answer."""
        await self._store.prepare()
        self._tombstones.load(await self._store.tombstones())
        self._quarantine.load(await self._store.quarantined())
        stored = await self._store.all()
        documents = [document for document, _ in stored]
        self._keyword.put(documents)
        self.editions.put(documents)
        if self._quarantine.enabled:
            flaws = self._inspector.admit(documents, [vector for _, vector in stored])
            self._quarantine.hold(flaws, found_at="start")
        self.editions.drop(self._tombstones.all())
        self.editions.drop(self._quarantine.all())

    async def run(self) -> None:
        """Never return."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._deletion.run())
            group.create_task(self._keep_quarantine())

    async def _keep_quarantine(self) -> None:
        """Write down, again and again, what the database does not know yet. Never return."""
        while True:
            await asyncio.sleep(self._retry)
            async with self._lock:
                if pending := self._quarantine.pending:
                    with contextlib.suppress(DependencyError):  # counted by the breaker, and tried again
                        await self._database.call(lambda: self._store.quarantine(pending), Attempts())
                        self._quarantine.stored(pending)

    async def aclose(self) -> None:
        """Give up on what is not stored yet."""
        await self._ingestion.aclose()

    def renew(self) -> None:
        """Start with no connections to the database."""
        self._store.renew()

    async def _upload(self, request: Request) -> Response:
        documents = await self._admins(request, parse_documents)
        flaws = await self._ingestion.store(documents)
        return JSONResponse({"stored": len(documents) - len(flaws), "quarantined": _listed(flaws)})

    async def _list_quarantine(self, request: Request) -> Response:
        self._authenticator.admin(request.headers.get("authorization"))
        return JSONResponse({"quarantined": _listed(self._quarantine.all())})

    async def _list(self, request: Request) -> Response:
        self._authenticator.admin(request.headers.get("authorization"))
        return JSONResponse({"ids": await self._ingestion.stored()})

    async def _delete(self, request: Request) -> Response:
        names = await self._admins(request, parse_names)
        durable = await self._deletion.delete(names)
        self._inspector.forget(names)
        return JSONResponse({"deleted": len(names), "durable": durable}, status_code=200 if durable else 202)

    async def _admins(self, request: Request, parse: Callable[[bytes], list[T]]) -> list[T]:
        """Return what an administrator's request holds; raise StackError for anybody else's, or what cannot be read."""
        self._authenticator.admin(request.headers.get("authorization"))
        try:
            return parse(await request.body())
        except ValueError as error:
            raise StackError(400, str(error), code="invalid_document", kind="invalid_request_error") from None


def _listed(flaws: Mapping[Name, str]) -> list[dict[str, str]]:
    return [{"tenant": tenant, "id": id_, "reason": str(flaw)} for (tenant, id_), flaw in sorted(flaws.items())]


def _vector_store(url: str, settings: Settings) -> VectorStore:
    try:
        return VectorStore(url, pool_size=settings.integer("vector-db.pool"))
    except ValueError:
        msg = "STACK_VECTOR_DB_URL is not a postgresql:// URL"
        raise ConfigurationError(msg) from None
