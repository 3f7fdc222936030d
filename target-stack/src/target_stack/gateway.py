"""The gateway: builds every part from settings and environment, and gives them HTTP routes."""

import asyncio
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from target_stack.admission import Admission
from target_stack.answering import Answerer
from target_stack.asgi import cancel, directly
from target_stack.auth import Authenticator
from target_stack.backpressure import Backpressure
from target_stack.bulkhead import Bulkhead
from target_stack.cache import Cache, JsonCache
from target_stack.chat import ChatEndpoint, error_response
from target_stack.clock import Clock, SystemClock
from target_stack.deadline import DeadlinePolicy
from target_stack.dependencies import dependencies
from target_stack.documents import Document
from target_stack.draft import Tools
from target_stack.embedder import Embedder
from target_stack.events import EventRing
from target_stack.failures import StackError
from target_stack.http_peer import HttpPeer
from target_stack.ladder import ModelClass
from target_stack.language_models import LanguageModels, replicas_of
from target_stack.library import Library
from target_stack.log import log
from target_stack.metrics import GatewayMetrics
from target_stack.naming import resolver_from
from target_stack.parts import CachedAnswer
from target_stack.policy_choice import policy_choice
from target_stack.pricing import PriceTable
from target_stack.rate_limit import limits_from
from target_stack.readiness import Readiness, expect_ready
from target_stack.retrieval import Retriever
from target_stack.router import Router
from target_stack.semantic import SemanticCache, SemanticConfig
from target_stack.server import run
from target_stack.service_mode import Mode, ModeConfig, ServiceMode
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings
from target_stack.singleflight import SingleFlight
from target_stack.variables import required
from target_stack.vector_store import DIMENSIONS

__all__ = ["Gateway", "serve"]

MODE_INTERVAL_S = 0.1


def serve(settings: Settings, environ: Mapping[str, str], *, host: str, port: int) -> None:
    """Serve the gateway; raise ConfigurationError when the environment lacks something."""
    run(Gateway(settings, environ, SystemClock()).app(), host=host, port=port)


class Gateway:
    """All parts of one gateway process."""

    def __init__(self, settings: Settings, environ: Mapping[str, str], clock: Clock) -> None:
        self.settings = settings
        self.clock = clock
        self.metrics = GatewayMetrics()
        self.events = EventRing(clock)
        self._environ = environ
        self._authenticator = self._read_tokens()
        self._dependencies = dependencies(
            settings, clock, self.metrics, self.events, on_open=lambda name: self._renewals[name]()
        )
        self._resolver = resolver_from(environ, clock)
        self._embedding = HttpPeer(required(self._environ, "STACK_EMBEDDING_URL"), resolver=self._resolver)
        self._embedder = Embedder(self._embedding, self._dependencies["embedding"], dimensions=DIMENSIONS)
        self._library = Library(
            settings,
            environ,
            clock,
            self.metrics,
            authenticator=self._authenticator,
            embedder=self._embedder,
            database=self._dependencies["vector-db"],
        )
        self._cache = self._new_cache()
        self._models = LanguageModels(
            settings,
            environ,
            clock,
            self.metrics,
            self._dependencies,
            resolver=self._resolver,
            source=_source(environ.get("STACK_SEED")),
        )
        self._renewals = {
            "vector-db": self._library.renew,
            "cache": self._cache.renew,
            "embedding": self._embedding.renew,
            **self._models.renewals,
        }
        needed = {
            "vector-db": self._library.prepare,
            "embedding": self._embedding_ready,
            "llm": self._models.provider_ready,
        }
        if replicas_of(settings):
            needed["inference"] = self._models.replica_ready
        self._readiness = Readiness(needed)
        self._backpressure = Backpressure.from_settings(settings, clock)
        self._bulkhead = Bulkhead.from_settings(settings)
        self._mode = self._service_mode()
        policies, self._flag_poller = policy_choice(settings, environ, clock, self.metrics, resolver=self._resolver)
        self._chat = ChatEndpoint(
            self._authenticator,
            self._answerer(),
            policies,
            clock,
            self.metrics,
            request_ids=_request_ids(environ.get("STACK_SEED")),
            deadlines=DeadlinePolicy.from_settings(settings),
            admission=self._admission(),
        )

    def app(self) -> ASGIApp:
        """Return the HTTP application."""
        chat = Route("/v1/chat/completions", self._chat, methods=["POST"])
        app = Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
                chat,
                *self._library.routes(),
                Route("/metrics", self._metrics_page),
                Route("/events", self._events_page),
            ],
            exception_handlers=dict.fromkeys((StackError, HTTPException, Exception), _on_error),
            lifespan=self._lifespan,
        )
        return directly(chat.path, self._chat, app)

    # Parts

    def _read_tokens(self) -> Authenticator:
        try:
            return Authenticator(Path(required(self._environ, "STACK_TOKENS")))
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def _new_cache(self) -> Cache:
        url = required(self._environ, "STACK_CACHE_URL")
        try:
            return Cache(url, self._dependencies["cache"], on_stored=self.metrics.cache_writes.inc)
        except ValueError:
            msg = "STACK_CACHE_URL is not a redis:// or valkey:// URL"
            raise ConfigurationError(msg) from None

    def _answerer(self) -> Answerer:
        settings = self.settings
        exact_ttl, kept_ttl = settings.number("exact-cache.ttl"), settings.number("fallback-cache.ttl")
        documents = JsonCache(
            "retrieval",
            list[Document],
            self._cache,
            self.clock,
            self.metrics,
            ttl=kept_ttl,
            enabled=self._caching,
            by_tenant=self._library.tenants.of_stand_ins,
        )
        chain = self._models.chain
        return Answerer(
            Retriever(
                self._library.search,
                documents,
                self.metrics,
                editions=self._library.editions,
                budget=settings.integer("retrieval.token-budget"),
            ),
            chain,
            Tools(
                clock=self.clock,
                metrics=self.metrics,
                prices=PriceTable.from_settings(settings),
                models=chain.models,
                exact=self._answers("exact", exact_ttl),
                last=self._answers("answer", kept_ttl),
                semantic=SemanticCache(
                    SemanticConfig.from_settings(settings),
                    self._cache,
                    self.clock,
                    self.metrics,
                    editions=self._library.editions,
                    tenants=self._library.tenants,
                    model=chain.models[ModelClass.MAIN],
                ),
                disclosure=settings.switch("disclosure"),
            ),
            read_exact=settings.switch("exact-cache"),
            fallbacks=settings.switch("fallbacks"),
            backpressure=self._backpressure,
            flights=SingleFlight() if settings.switch("singleflight") else None,
            mode=self._mode,
            router=Router.from_settings(settings),
        )

    def _service_mode(self) -> ServiceMode:
        def on_change(before: Mode, after: Mode) -> None:
            log.warning("service mode", extra={"before": before.name.lower(), "after": after.name.lower()})
            self.metrics.mode_changes.labels(before.name.lower(), after.name.lower()).inc()

        service = ServiceMode(ModeConfig.from_settings(self.settings), self.clock, on_change=on_change)
        self.metrics.watch_mode(service)
        return service

    async def _watch_load(self) -> None:
        while True:
            self._mode.tick(self._bulkhead.utilisation)
            await asyncio.sleep(MODE_INTERVAL_S)

    def _admission(self) -> Admission:
        settings = self.settings
        self.metrics.watch_admission(self._bulkhead, self._backpressure)
        return Admission(
            self.clock,
            self.metrics,
            limits=limits_from(settings) if settings.switch("rate-limit") else None,
            backpressure=self._backpressure,
            bulkhead=self._bulkhead if settings.switch("bulkhead") else None,
            retry_after=settings.number("bulkhead.retry-after"),
        )

    @property
    def _caching(self) -> bool:
        return self.settings.switch("cache")

    def _answers(self, kind: str, ttl: float) -> JsonCache[CachedAnswer]:
        return JsonCache(
            kind,
            CachedAnswer,
            self._cache,
            self.clock,
            self.metrics,
            ttl=ttl,
            enabled=self._caching,
            by_tenant=self._library.tenants.of_stand_ins,
        )

    # Start and stop

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        work = [self._readiness.run(), self._watch_load(), self._library.run()]
        if (checks := self._models.health_checks()) is not None:
            work.append(checks.run())
        if self._flag_poller is not None:
            work.append(self._flag_poller.run())
        tasks = [asyncio.create_task(each) for each in work]
        for task in tasks:
            task.add_done_callback(_raise_bugs)
        try:
            yield
        finally:
            await cancel(*tasks)
            await self._library.aclose()
            await self._cache.aclose()
            await self._embedding.aclose()
            await self._models.aclose()
            if self._flag_poller is not None:
                await self._flag_poller.aclose()
            self._library.renew()

    async def _embedding_ready(self) -> None:
        await expect_ready("embedding", self._embedding)

    # Routes

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, _request: Request) -> Response:
        if waiting := self._readiness.waiting_for:
            return JSONResponse({"status": "starting", "waiting_for": waiting}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def _metrics_page(self, _request: Request) -> Response:
        return Response(self.metrics.page(), headers={"content-type": CONTENT_TYPE_LATEST})

    async def _events_page(self, request: Request) -> Response:
        self._authenticator.admin(request.headers.get("authorization"))
        after = request.query_params.get("after", "0")
        if not after.isascii() or not after.isdigit():
            raise StackError(400, "after must be a number", code="invalid_request", kind="invalid_request_error")
        body = {"next": self.events.last, "events": self.events.after(int(after))}
        return Response(msgspec.json.encode(body), media_type="application/json")


def _raise_bugs(task: asyncio.Task[None]) -> None:
    """Hand an exception that nobody expected to the event loop's handler, which logs it."""
    if not task.cancelled():
        task.result()


def _source(seed: str | None) -> random.Random:
    return random.Random(seed) if seed else random.SystemRandom()  # noqa: S311 -- for ids and jitter, not for secrets


def _request_ids(seed: str | None) -> Iterator[str]:
    source = _source(seed)
    while True:
        yield f"{source.getrandbits(64):016x}"


async def _on_error(_request: Request, error: Exception) -> Response:
    match error:
        case StackError():
            return error_response(error)
        case HTTPException():
            stack_error = StackError(error.status_code, error.detail, code="http_error", kind="invalid_request_error")
            return error_response(stack_error, dict(error.headers or {}))
        case _:
            return error_response(StackError(500, "Internal error.", code="internal_error"))
