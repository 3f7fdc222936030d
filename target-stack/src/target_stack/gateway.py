"""The gateway: builds every part from settings and environment, and gives them HTTP routes."""

import asyncio
import functools
import random
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
import structlog
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from target_stack.admission import Admission
from target_stack.answering import Answerer
from target_stack.asgi import cancel
from target_stack.auth import Authenticator
from target_stack.backpressure import Backpressure
from target_stack.breaker import BreakerConfig, CircuitBreaker, State, Transition
from target_stack.bulkhead import Bulkhead
from target_stack.cache import Cache, JsonCache
from target_stack.chain import ProviderChain
from target_stack.chat import ChatEndpoint, error_response
from target_stack.clock import Clock, SystemClock
from target_stack.deadline import DeadlinePolicy
from target_stack.dependency import Dependency
from target_stack.documents import Document, parse_documents
from target_stack.draft import Tools
from target_stack.embedder import Embedder
from target_stack.events import EventRing
from target_stack.failures import StackError
from target_stack.http_peer import HttpPeer
from target_stack.ingestion import Ingestion
from target_stack.keyword import KeywordIndex
from target_stack.ladder import ModelClass
from target_stack.metrics import GatewayMetrics
from target_stack.naming import resolver_from
from target_stack.parts import CachedAnswer
from target_stack.policy import policies
from target_stack.pricing import PriceTable
from target_stack.providers import Provider, StreamTimeouts
from target_stack.rate_limit import limits_from
from target_stack.readiness import Readiness, expect_one_ready, expect_ready, healthy
from target_stack.replicas import HealthChecks, ReplicaPool
from target_stack.retrieval import HybridSearch, Retriever
from target_stack.retry import NAIVE_TRIES, RetryBudget, RetryConfig, RetryMode
from target_stack.server import run
from target_stack.service_mode import Mode, ModeConfig, ServiceMode
from target_stack.settings import DEPENDENCIES, PROVIDERS, REPLICAS, ConfigurationError, Settings
from target_stack.singleflight import SingleFlight
from target_stack.vector_store import VectorStore

__all__ = ["Gateway", "serve"]

MODE_INTERVAL_S = 0.1

log = structlog.get_logger()


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
        self._keyword = KeywordIndex()
        replicas = REPLICAS if settings.text("main-model.served-by") == "self-hosted" else ()
        used = [name for name in DEPENDENCIES if name not in REPLICAS or name in replicas]
        self._dependencies = {name: self._dependency(name) for name in used}
        self._store = self._vector_store()
        self._resolver = resolver_from(environ, clock)
        self._embedding = HttpPeer(self._variable("STACK_EMBEDDING_URL"), resolver=self._resolver)
        self._cache = self._new_cache()
        self._peers = self._llm_peers("STACK_PROVIDERS", PROVIDERS)
        self._replica_peers = self._llm_peers("STACK_REPLICAS", replicas) if replicas else {}
        self._renewals = {
            "vector-db": self._store.renew,
            "cache": self._cache.renew,
            "embedding": self._embedding.renew,
            **{name: peer.renew for name, peer in (*self._peers.items(), *self._replica_peers.items())},
        }
        self._embedder = Embedder(self._embedding, self._dependencies["embedding"])
        needed = {"vector-db": self._prepare, "embedding": self._embedding_ready, "llm": self._provider_ready}
        self._pool = self._replica_pool() if replicas else None
        if replicas:
            needed["inference"] = self._replica_ready
        self._readiness = Readiness(needed)
        self._backpressure = Backpressure.from_settings(settings, clock)
        self._bulkhead = Bulkhead.from_settings(settings)
        self._mode = self._service_mode()
        self._ingestion = Ingestion(
            self._embedder,
            self._store,
            self._dependencies["vector-db"],
            self._keyword,
            timeout=settings.number("ingest.timeout"),
        )
        self._chat = ChatEndpoint(
            self._authenticator,
            self._answerer(),
            policies(settings),
            clock,
            self.metrics,
            request_ids=_request_ids(environ.get("STACK_SEED")),
            deadlines=DeadlinePolicy.from_settings(settings),
            admission=self._admission(),
        )

    def app(self) -> Starlette:
        """Return the HTTP application."""
        return Starlette(
            routes=[
                Route("/health/live", self._live),
                Route("/health/ready", self._ready),
                Route("/v1/chat/completions", self._chat, methods=["POST"]),
                Route("/v1/documents", self._documents, methods=["POST"]),
                Route("/metrics", self._metrics_page),
                Route("/events", self._events_page),
            ],
            exception_handlers=dict.fromkeys((StackError, HTTPException, Exception), _on_error),
            lifespan=self._lifespan,
        )

    # Parts

    def _variable(self, name: str) -> str:
        value = self._environ.get(name)
        if not value:
            msg = f"the gateway needs {name}"
            raise ConfigurationError(msg)
        return value

    def _read_tokens(self) -> Authenticator:
        try:
            return Authenticator(Path(self._variable("STACK_TOKENS")))
        except ValueError as error:
            raise ConfigurationError(str(error)) from None

    def _dependency(self, name: str) -> Dependency:
        settings = self.settings
        config = BreakerConfig(
            enabled=settings.switch("breaker"),
            failures=settings.integer(f"{name}.breaker.failures"),
            error_rate=settings.number(f"{name}.breaker.error-rate"),
            window=settings.number(f"{name}.breaker.window"),
            min_calls=settings.integer(f"{name}.breaker.min-calls"),
            recovery=settings.number(f"{name}.breaker.recovery"),
            probes=settings.integer(f"{name}.breaker.probes"),
            unstable_cycles=settings.integer(f"{name}.breaker.unstable-cycles"),
            unstable_window=settings.number(f"{name}.breaker.unstable-window"),
            unstable_recovery=settings.number(f"{name}.breaker.unstable-recovery"),
        )

        def on_transition(transition: Transition) -> None:
            self._on_transition(name, transition)

        breaker = CircuitBreaker(config, self.clock, on_transition=on_transition)
        self.events.breaker(name, from_state=None, to_state=State.CLOSED.value, reason="start")
        self.metrics.watch(name, breaker)
        timeout = settings.number("llm.timeout" if name in (*PROVIDERS, *REPLICAS) else f"{name}.timeout")
        naive = settings.text("retry") == RetryMode.NAIVE
        return Dependency(name, breaker, self.metrics, timeout=timeout, tries=NAIVE_TRIES if naive else 1)

    def _on_transition(self, name: str, transition: Transition) -> None:
        self.events.breaker(
            name,
            from_state=transition.from_state.value,
            to_state=transition.to_state.value,
            reason=transition.reason,
        )
        self.metrics.transition(name, transition)
        if transition.to_state is State.OPEN:
            self._renewals[name]()

    def _vector_store(self) -> VectorStore:
        url = self._variable("STACK_VECTOR_DB_URL")
        try:
            return VectorStore(url, pool_size=self.settings.integer("vector-db.pool"))
        except ValueError:
            msg = "STACK_VECTOR_DB_URL is not a postgresql:// URL"
            raise ConfigurationError(msg) from None

    def _new_cache(self) -> Cache:
        url = self._variable("STACK_CACHE_URL")
        try:
            return Cache(url, self._dependencies["cache"])
        except ValueError:
            msg = "STACK_CACHE_URL is not a redis:// or valkey:// URL"
            raise ConfigurationError(msg) from None

    def _llm_peers(self, variable: str, names: Sequence[str]) -> dict[str, HttpPeer]:
        timeout = self.settings.number("llm.connect-timeout")
        peers = {}
        for entry in self._variable(variable).split(","):
            name, _, url = entry.strip().partition("=")
            if name not in names or not url.startswith("http"):
                msg = f"{variable}: an entry is not NAME=URL with NAME one of {', '.join(names)}"
                raise ConfigurationError(msg)
            peers[name] = HttpPeer(url, connect_timeout=timeout, resolver=self._resolver)
        return peers

    def _answerer(self) -> Answerer:
        settings = self.settings
        exact_ttl, kept_ttl = settings.number("exact-cache.ttl"), settings.number("fallback-cache.ttl")
        documents = JsonCache(
            "retrieval", list[Document], self._cache, self.clock, self.metrics, ttl=kept_ttl, enabled=self._caching
        )
        search = HybridSearch(
            self._embedder,
            self._store,
            self._dependencies["vector-db"],
            self._keyword,
            candidates=settings.integer("retrieval.candidates"),
            top_k=settings.integer("retrieval.top-k"),
            rrf_k=settings.integer("retrieval.rrf-k"),
        )
        chain = self._chain()
        return Answerer(
            Retriever(search, documents),
            chain,
            Tools(
                clock=self.clock,
                metrics=self.metrics,
                prices=PriceTable.from_settings(settings),
                models=chain.models,
                exact=self._answers("exact", exact_ttl),
                last=self._answers("answer", kept_ttl),
                disclosure=settings.switch("disclosure"),
            ),
            read_exact=settings.switch("exact-cache"),
            fallbacks=settings.switch("fallbacks"),
            backpressure=self._backpressure,
            flights=SingleFlight() if settings.switch("singleflight") else None,
            mode=self._mode,
        )

    def _service_mode(self) -> ServiceMode:
        def on_change(before: Mode, after: Mode) -> None:
            log.warning("service mode", before=before.name.lower(), after=after.name.lower())
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
        return JsonCache(kind, CachedAnswer, self._cache, self.clock, self.metrics, ttl=ttl, enabled=self._caching)

    def _provider(self, name: str, peer: HttpPeer, models: Sequence[str]) -> Provider:
        timeouts = StreamTimeouts(
            first_token=self.settings.number("llm.first-token-timeout"),
            inter_token=self.settings.number("llm.inter-token-timeout"),
            total=self.settings.number("llm.timeout"),
        )
        return Provider(
            self._dependencies[name],
            peer,
            self.clock,
            models=models,
            timeouts=timeouts,
            honour_retry_after=self.settings.switch("honour-retry-after"),
        )

    def _replica_pool(self) -> ReplicaPool[Provider]:
        settings = self.settings
        models = (settings.text("inference.model"),)
        replicas = [self._provider(name, peer, models) for name, peer in self._replica_peers.items()]
        pool = ReplicaPool(
            replicas, failures=settings.integer("inference.health-failures"), enabled=settings.switch("replica-health")
        )
        for replica in replicas:
            self.metrics.watch_replica(
                replica.name,
                ready=functools.partial(pool.ready, replica.name),
                requests=functools.partial(getattr, replica, "outstanding"),
            )
        return pool

    def _chain(self) -> ProviderChain:
        settings = self.settings
        return ProviderChain(
            [self._provider(name, peer, settings.words(f"{name}.model")) for name, peer in self._peers.items()],
            self.clock,
            _source(self._environ.get("STACK_SEED")),
            models={
                ModelClass.MAIN: settings.text("main-model"),
                ModelClass.SMALL: settings.text("small-model"),
            },
            retry=RetryConfig.from_settings(settings),
            budget=RetryBudget.from_settings(settings),
            failover=settings.switch("failover"),
            replicas=self._pool,
            on_retry=lambda name, outcome: self.metrics.retries.labels(name, outcome).inc(),
        )

    # Start and stop

    @asynccontextmanager
    async def _lifespan(self, _app: Starlette) -> AsyncIterator[None]:
        tasks = [asyncio.create_task(self._readiness.run()), asyncio.create_task(self._watch_load())]
        if self._pool is not None:
            tasks.append(asyncio.create_task(self._health_checks(self._pool).run()))
        for task in tasks:
            task.add_done_callback(_raise_bugs)
        try:
            yield
        finally:
            await cancel(*tasks)
            await self._cache.aclose()
            for peer in (self._embedding, *self._peers.values(), *self._replica_peers.values()):
                await peer.aclose()
            self._store.renew()

    async def _prepare(self) -> None:
        await self._store.prepare()
        self._keyword.put(await self._store.all())

    async def _embedding_ready(self) -> None:
        await expect_ready("embedding", self._embedding)

    async def _provider_ready(self) -> None:
        await expect_one_ready(self._peers)

    async def _replica_ready(self) -> None:
        await expect_one_ready(self._replica_peers)

    def _health_checks(self, pool: ReplicaPool[Provider]) -> HealthChecks:
        limit = self.settings.number("inference.health-timeout")
        checks = {name: functools.partial(healthy, peer, limit) for name, peer in self._replica_peers.items()}
        return HealthChecks(
            pool,
            checks,
            self.clock,
            interval=self.settings.number("inference.health-interval"),
            # Connections to one that was cut off look alive, also when it is back.
            on_lost=lambda name: self._renewals[name](),
        )

    # Routes

    async def _live(self, _request: Request) -> Response:
        return JSONResponse({"status": "live"})

    async def _ready(self, _request: Request) -> Response:
        if waiting := self._readiness.waiting_for:
            return JSONResponse({"status": "starting", "waiting_for": waiting}, status_code=503)
        return JSONResponse({"status": "ready"})

    async def _documents(self, request: Request) -> Response:
        self._authenticator.admin(request.headers.get("authorization"))
        try:
            documents = parse_documents(await request.body())
        except ValueError as error:
            raise StackError(400, str(error), code="invalid_document", kind="invalid_request_error") from None
        await self._ingestion.store(documents)
        return JSONResponse({"stored": len(documents)})

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
