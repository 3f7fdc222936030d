"""Cache keys and records: the right answer or none, and never another tenant's."""

import asyncio

import msgspec
import pytest
from fakes import FakeClock

from target_stack.breaker import BreakerConfig, CircuitBreaker
from target_stack.cache import Cache, Cached, JsonCache
from target_stack.dependency import Attempts, Dependency
from target_stack.keys import conversation_key, exact_key, retrieval_key
from target_stack.metrics import GatewayMetrics
from target_stack.wire import Message


def user(text: str) -> Message:
    return Message(role="user", content=text)


def key(*messages: Message, fingerprint: str = "f", model: str = "m", max_tokens: int | None = None) -> str:
    return exact_key(messages, fingerprint=fingerprint, model=model, max_tokens=max_tokens)


def test_the_exact_key_depends_on_query_context_documents_model_and_length() -> None:
    base = key(user("q"))
    assert key(user("q")) == base
    others = [
        key(user("Q")),
        key(user("before"), user("q")),
        key(Message(role="assistant", content="q")),
        key(user("q"), fingerprint="g"),
        key(user("q"), model="n"),
        key(user("q"), max_tokens=5),
    ]
    assert len({base, *others}) == len(others) + 1


def test_texts_cannot_be_cut_elsewhere_to_make_the_same_key() -> None:
    assert conversation_key([user("ab"), user("c")], max_tokens=None) != conversation_key(
        [user("a"), user("bc")], max_tokens=None
    )
    assert retrieval_key("q") != conversation_key([user("q")], max_tokens=None)


class MemoryCache(Cache):
    """The cache without a server: what is stored where is what these tests are about."""

    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}

    async def get(self, key: str, attempts: Attempts) -> bytes | None:
        return self.stored.get(key)

    def put_later(self, key: str, value: bytes, *, ttl: float) -> None:
        self.stored[key] = value


def records(cache: Cache, clock: FakeClock, *, enabled: bool = True) -> JsonCache[str]:
    return JsonCache("exact", str, cache, clock, GatewayMetrics(), ttl=60, enabled=enabled)


def get(cache: JsonCache[str], tenant: str, key: str) -> Cached[str] | None:
    return asyncio.run(cache.get(tenant, key, Attempts()))


class _Reset:
    """A client whose connection was reset an instant before it writes, as uvloop tells it: a moment nobody can time."""

    async def get(self, key: str) -> None:
        msg = "unable to perform operation on <TCPTransport closed=True>; the handler is closed"
        raise RuntimeError(msg)


def test_a_connection_that_was_reset_an_instant_before_is_a_miss(clock: FakeClock) -> None:
    dependency = Dependency("cache", CircuitBreaker(BreakerConfig(), clock), GatewayMetrics(), timeout=0.5)
    cache = Cache("redis://127.0.0.1:1/0", dependency)
    cache._client = _Reset()  # type: ignore[assignment] # the one thing about it that this test is about
    assert get(records(cache, clock), "acme", "k") is None


def test_an_entry_comes_back_with_its_age(clock: FakeClock) -> None:
    cache = records(MemoryCache(), clock)
    cache.put("acme", "k", "value")
    clock.advance(12)
    assert get(cache, "acme", "k") == Cached("value", 12)


def test_another_tenant_misses(clock: FakeClock) -> None:
    cache = records(MemoryCache(), clock)
    cache.put("acme", "k", "value")
    assert get(cache, "globex", "k") is None


def test_tenant_names_cannot_be_made_to_collide(clock: FakeClock) -> None:
    cache = records(MemoryCache(), clock)
    cache.put("a:b", "c", "value")
    assert get(cache, "a", "b:c") is None


def test_a_record_of_another_tenant_under_our_key_is_refused(clock: FakeClock) -> None:
    memory = MemoryCache()
    cache = records(memory, clock)
    cache.put("globex", "k", "theirs")
    cache.put("acme", "k", "ours")
    ours, theirs = (next(k for k in memory.stored if t in k) for t in ("acme", "globex"))
    memory.stored[ours] = memory.stored[theirs]
    assert get(cache, "acme", "k") is None


@pytest.mark.parametrize("damage", [b"", b"not json", b'{"tenant": "acme", "stored_at": 1, "value": 7}'])
def test_a_damaged_record_is_a_miss(clock: FakeClock, damage: bytes) -> None:
    memory = MemoryCache()
    cache = records(memory, clock)
    cache.put("acme", "k", "value")
    memory.stored = dict.fromkeys(memory.stored, damage)
    assert get(cache, "acme", "k") is None


def test_a_cache_that_is_switched_off_stores_and_finds_nothing(clock: FakeClock) -> None:
    memory = MemoryCache()
    records(memory, clock, enabled=False).put("acme", "k", "value")
    assert memory.stored == {}
    records(memory, clock).put("acme", "k", "value")
    assert get(records(memory, clock, enabled=False), "acme", "k") is None


def test_a_cache_that_cannot_be_reached_is_a_miss_and_opens_its_breaker(clock: FakeClock) -> None:
    async def scenario() -> tuple[list[Cached[str] | None], Attempts]:
        dependency = Dependency("cache", CircuitBreaker(BreakerConfig(), clock), GatewayMetrics(), timeout=0.5)
        # Port 9 of the loopback: nothing listens there, so the connection is refused at once.
        cache = Cache("redis://127.0.0.1:9/0", dependency)
        attempts = Attempts()
        cached = records(cache, clock)
        found = [await cached.get("acme", "k", attempts) for _ in range(5)]
        await cache.aclose()
        return found, attempts

    found, attempts = asyncio.run(scenario())
    assert found == [None] * 5
    assert attempts.calls == {"cache": 3}, "two of five were bypassed"


def test_records_say_whose_they_are(clock: FakeClock) -> None:
    memory = MemoryCache()
    records(memory, clock).put("acme", "k", "value")
    (stored,) = memory.stored.values()
    assert msgspec.json.decode(stored) == {"tenant": "acme", "stored_at": clock.now, "value": "value"}


class _Recorder:
    """A client that keeps what is sent together."""

    def __init__(self) -> None:
        self.sent: list[list[str]] = []
        self._commands: list[str] = []

    def pipeline(self, *, transaction: bool) -> "_Recorder":
        assert not transaction
        return self

    async def __aenter__(self) -> "_Recorder":
        return self

    async def __aexit__(self, *_: object) -> None:
        self._commands = []

    def set(self, key: str, _value: bytes, *, px: int) -> None:
        self._commands.append(f"{key} {px}")

    async def execute(self) -> None:
        self.sent.append(self._commands)


def test_writes_of_one_moment_go_together_and_are_read_until_then(clock: FakeClock) -> None:
    async def scenario() -> None:
        stored: list[int] = []
        dependency = Dependency("cache", CircuitBreaker(BreakerConfig(), clock), GatewayMetrics(), timeout=0.5)
        cache = Cache("redis://127.0.0.1:1/0", dependency, on_stored=stored.append)
        client = _Recorder()
        cache._client = client  # type: ignore[assignment] # what is sent together is what this test is about
        for key in ("a", "b", "a"):
            cache.put_later(key, key.encode(), ttl=2)
        assert await cache.get("b", Attempts()) == b"b"
        await asyncio.gather(*cache._tasks)
        assert client.sent == [["a 2000", "b 2000"]]
        assert stored == [2]

    asyncio.run(scenario())
