"""The documents behind the gateway, built from settings: where they are kept, found, uploaded and deleted."""

import asyncio
from collections.abc import Callable, Mapping
from typing import TypeVar

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.auth import Authenticator
from target_stack.clock import Clock
from target_stack.deletion import Deletion
from target_stack.dependency import Dependency
from target_stack.documents import parse_documents, parse_names
from target_stack.editions import Editions
from target_stack.embedder import Embedder
from target_stack.failures import StackError
from target_stack.ingestion import Ingestion
from target_stack.keyword import KeywordIndex
from target_stack.metrics import GatewayMetrics
from target_stack.retrieval import HybridSearch
from target_stack.settings import ConfigurationError, Settings
from target_stack.tenant_filter import TenantFilter
from target_stack.tombstones import Tombstones
from target_stack.variables import required
from target_stack.vector_store import VectorStore

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
        self.tenants = TenantFilter.from_settings(settings)
        self.search = HybridSearch(
            embedder,
            self._store,
            database,
            self._keyword,
            tenants=self.tenants,
            tombstones=self._tombstones,
            candidates=settings.integer("retrieval.candidates"),
            top_k=settings.integer("retrieval.top-k"),
            rrf_k=settings.integer("retrieval.rrf-k"),
        )
        lock = asyncio.Lock()
        self._ingestion = Ingestion(
            embedder,
            self._store,
            database,
            self._keyword,
            self._tombstones,
            editions=self.editions,
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
        ]

    async def prepare(self) -> None:
        """Read everything that is kept in memory; raise DependencyError where the database does not answer."""
        await self._store.prepare()
        self._tombstones.load(await self._store.tombstones())
        documents = await self._store.all()
        self._keyword.put(documents)
        buried = self._tombstones.all()
        self.editions.put(one for one in documents if (one.tenant, one.id) not in buried)

    async def run(self) -> None:
        """Never return."""
        await self._deletion.run()

    async def aclose(self) -> None:
        """Give up on what is not stored yet."""
        await self._ingestion.aclose()

    def renew(self) -> None:
        """Start with no connections to the database."""
        self._store.renew()

    async def _upload(self, request: Request) -> Response:
        documents = await self._admins(request, parse_documents)
        await self._ingestion.store(documents)
        return JSONResponse({"stored": len(documents)})

    async def _list(self, request: Request) -> Response:
        self._authenticator.admin(request.headers.get("authorization"))
        return JSONResponse({"ids": await self._ingestion.stored()})

    async def _delete(self, request: Request) -> Response:
        names = await self._admins(request, parse_names)
        durable = await self._deletion.delete(names)
        return JSONResponse({"deleted": len(names), "durable": durable}, status_code=200 if durable else 202)

    async def _admins(self, request: Request, parse: Callable[[bytes], list[T]]) -> list[T]:
        """Return what an administrator's request holds; raise StackError for anybody else's, or what cannot be read."""
        self._authenticator.admin(request.headers.get("authorization"))
        try:
            return parse(await request.body())
        except ValueError as error:
            raise StackError(400, str(error), code="invalid_document", kind="invalid_request_error") from None


def _vector_store(url: str, settings: Settings) -> VectorStore:
    try:
        return VectorStore(url, pool_size=settings.integer("vector-db.pool"))
    except ValueError:
        msg = "STACK_VECTOR_DB_URL is not a postgresql:// URL"
        raise ConfigurationError(msg) from None
