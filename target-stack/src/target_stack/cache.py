"""The cache: small JSON records in Valkey, each with its tenant and the time it was stored.

A dead cache must cost nothing but its advantage: every failure here is a miss, and its breaker keeps it cheap.

Writes wait for a moment and then go together: each by itself cost as much as a read, and the first of a question's came
between it and its model.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, TypeVar, cast

import msgspec
import valkey.asyncio as valkey
from valkey.asyncio.retry import Retry
from valkey.backoff import NoBackoff
from valkey.exceptions import ValkeyError

from target_stack.clock import Clock
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, FailureKind
from target_stack.metrics import GatewayMetrics

__all__ = ["Cache", "Cached", "JsonCache"]

NAME = "cache"
_MAX_PENDING_WRITES = 256
_WRITE_AFTER_S = 0.02
"""How long a write waits for others. Until then it is read from here."""
_LOST = (ValkeyError, OSError, RuntimeError)
"""How the client fails. RuntimeError is uvloop's, for a write to a connection that was reset an instant before."""

T = TypeVar("T")


class Cached(msgspec.Struct, Generic[T], frozen=True):
    """What was stored, and its age in seconds."""

    value: T
    age: float


class _Record(msgspec.Struct, frozen=True):
    tenant: str
    stored_at: float
    value: msgspec.Raw


class Cache:
    """Raw gets and puts through the breaker. Writes happen behind the request's back; `aclose` ends them.

    `on_stored` is told how many records were stored.
    """

    def __init__(
        self, url: str, dependency: Dependency, *, on_stored: Callable[[int], None] = lambda _count: None
    ) -> None:
        self._url = url
        self._dependency = dependency
        self._on_stored = on_stored
        self._client = self._new_client()
        self._pending: dict[tuple[str, str | None], tuple[bytes, float]] = {}
        """Value and time to live, by key and member."""
        self._tasks: set[asyncio.Task[None]] = set()

    def _new_client(self) -> valkey.Valkey:
        client: valkey.Valkey = valkey.Valkey.from_url(
            self._url,
            retry=Retry(NoBackoff(), 0),
            protocol=3,
            # The dependency's time limit covers connect and command alike.
            socket_connect_timeout=None,
            socket_timeout=None,
        )
        return client

    async def get(self, key: str, attempts: Attempts) -> bytes | None:
        """Return what is stored under `key`; raise DependencyError when the cache gives no answer."""
        if (key, None) in self._pending:
            return self._pending[key, None][0]

        async def work() -> bytes | None:
            try:
                found = await self._client.get(key)
            except _LOST as error:
                raise DependencyError(NAME, type(error).__name__, kind=FailureKind.UNREACHABLE) from error
            return found if isinstance(found, bytes) else None

        return await self._dependency.call(work, attempts)

    def put_later(self, key: str, value: bytes, *, ttl: float) -> None:
        """Store in the background, `ttl` in seconds; dropped when the cache is away or too many writes wait."""
        self._later((key, None), value, ttl)

    def put_member_later(self, key: str, member: str, value: bytes, *, ttl: float) -> None:
        """Store in the background as one of the members under `key`, all of which then last `ttl` seconds from then."""
        self._later((key, member), value, ttl)

    def _later(self, place: tuple[str, str | None], value: bytes, ttl: float) -> None:
        if not self._pending:
            self._spawn(self._write())
        if len(self._pending) < _MAX_PENDING_WRITES:
            self._pending[place] = (value, ttl)

    async def _write(self) -> None:
        await asyncio.sleep(_WRITE_AFTER_S)
        pending, self._pending = self._pending, {}

        async def work() -> None:
            try:
                async with self._client.pipeline(transaction=False) as pipeline:
                    for (key, member), (value, ttl) in pending.items():
                        lasts = max(int(ttl * 1000), 1)
                        if member is None:
                            pipeline.set(key, value, px=lasts)
                        else:
                            pipeline.execute_command("HSET", key, member, value)
                            pipeline.execute_command("PEXPIRE", key, lasts)
                    await pipeline.execute()
            except _LOST as error:
                raise DependencyError(NAME, type(error).__name__, kind=FailureKind.UNREACHABLE) from error

        try:
            await self._dependency.call(work, Attempts())
        except DependencyError:
            return  # counted by the breaker and the metrics; a request must not suffer for it
        self._on_stored(len(pending))

    async def members(self, key: str, attempts: Attempts) -> list[bytes]:
        """Return all that is stored under `key` by member; raise DependencyError when the cache gives no answer."""

        async def work() -> list[bytes]:
            try:
                # Typed as what the synchronous client returns, too.
                return list(await cast("Awaitable[list[bytes]]", self._client.hvals(key)))
            except _LOST as error:
                raise DependencyError(NAME, type(error).__name__, kind=FailureKind.UNREACHABLE) from error

        return await self._dependency.call(work, attempts)

    def renew(self) -> None:
        """Start with no connections; see `HttpPeer.renew`."""
        old, self._client = self._client, self._new_client()
        self._spawn(_disconnect(old))

    def _spawn(self, work: Coroutine[object, object, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def aclose(self) -> None:
        """Cancel the writes that wait and close all connections."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await _disconnect(self._client)


async def _disconnect(client: valkey.Valkey) -> None:
    # Calls under way keep their connection and return it closed; nothing is sent to the server.
    await client.connection_pool.disconnect(inuse_connections=False)


class JsonCache(Generic[T]):
    """One kind of record. Keys are made by the owner and must include the tenant; records repeat it and are checked.

    With `by_tenant` false they do neither: what a stack does that forgets whose its records are.
    """

    def __init__(
        self,
        kind: str,
        type_: type[T],
        cache: Cache,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        ttl: float,
        enabled: bool,
        by_tenant: bool = True,
    ) -> None:
        self._kind = kind
        self._cache = cache
        self._clock = clock
        self._metrics = metrics
        self._ttl = ttl
        self._enabled = enabled
        self._by_tenant = by_tenant
        self._record = msgspec.json.Decoder(_Record)
        self._value = msgspec.json.Decoder(type_)

    async def get(self, tenant: str, key: str, attempts: Attempts) -> Cached[T] | None:
        """Return what this tenant has under `key`, None for a miss of any kind."""
        if not self._enabled:
            return None
        result, cached = await self._look_up(tenant, key, attempts)
        self._metrics.cache_requests.labels(self._kind, result).inc()
        return cached

    async def _look_up(self, tenant: str, key: str, attempts: Attempts) -> tuple[str, Cached[T] | None]:
        try:
            found = await self._cache.get(self._full(tenant, key), attempts)
        except DependencyError as error:
            return ("bypassed" if error.kind is FailureKind.REFUSED else "error"), None
        if found is None:
            return "miss", None
        try:
            record = self._record.decode(found)
            value = self._value.decode(record.value)
        except msgspec.MsgspecError:
            return "corrupt", None
        if self._by_tenant and record.tenant != tenant:
            return "foreign", None
        age = max(self._clock.unix() - record.stored_at, 0.0)
        return "hit", Cached(value, age)

    def put(self, tenant: str, key: str, value: T) -> None:
        """Store in the background."""
        if self._enabled:
            record = _Record(tenant, self._clock.unix(), msgspec.Raw(msgspec.json.encode(value)))
            self._cache.put_later(self._full(tenant, key), msgspec.json.encode(record), ttl=self._ttl)

    def used(self, cached: Cached[T]) -> None:
        """Note that what was found went into an answer."""
        self._metrics.cache_age.observe(cached.age)

    def _full(self, tenant: str, key: str) -> str:
        return f"{self._kind}:{len(tenant)}:{tenant}:{key}" if self._by_tenant else f"{self._kind}:{key}"
