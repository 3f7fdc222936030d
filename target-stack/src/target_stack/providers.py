"""The LLM providers: streamed calls, and the order in which they are tried.

Every call is streamed, also for a caller who wants one body: only a stream shows a provider that has stalled.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import httpx
import msgspec

from target_stack.clock import Clock
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, ErrorSource, FailureKind, source_of_status
from target_stack.http_peer import HttpPeer
from target_stack.ladder import ModelClass
from target_stack.replicas import ReplicaPool
from target_stack.retry_after import RetryAfter
from target_stack.serving import Usage
from target_stack.sse import DONE, SseParser
from target_stack.wire import Chunk, Message, ProviderRequest, StreamOptions, declared_source

__all__ = ["Candidate", "Completion", "Provider", "ProviderChain", "StreamTimeouts", "Token"]


DRAIN_LIMIT_S = 0.25

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimeouts:
    """Limits of one call, in seconds: to the first token, between two tokens, and on all waiting together."""

    first_token: float
    inter_token: float
    total: float


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True)
class Completion:
    """The end of a whole answer."""

    finish_reason: str
    usage: Usage


class Provider:
    """One provider and the models that it serves."""

    def __init__(
        self,
        dependency: Dependency,
        peer: HttpPeer,
        clock: Clock,
        *,
        models: Sequence[str],
        timeouts: StreamTimeouts,
        honour_retry_after: bool = True,
    ) -> None:
        self.name = dependency.name
        self.models = tuple(models)
        self.outstanding = 0
        """Calls under way."""
        self._dependency = dependency
        self._peer = peer
        self._clock = clock
        self._timeouts = timeouts
        self._retry_after = RetryAfter(clock, honoured=honour_retry_after)
        self._chunk = msgspec.json.Decoder(Chunk)

    async def stream(
        self, model: str, messages: Sequence[Message], *, max_tokens: int | None, attempts: Attempts
    ) -> AsyncGenerator[Token | Completion, None]:
        """Yield tokens and, last, the completion; raise DependencyError when the provider fails, also half-way.

        The caller closes the generator (`contextlib.aclosing`): that ends the call at the provider.
        """
        request = ProviderRequest(
            model=model,
            messages=list(messages),
            stream=True,
            stream_options=StreamOptions(include_usage=True),
            max_tokens=max_tokens,
        )
        self._leave_alone()
        async with self._dependency.guarded(attempts), self._peer.client() as client:
            body = msgspec.json.encode(request)
            http = client.build_request(
                "POST", "/v1/chat/completions", content=body, headers={"content-type": "application/json"}
            )
            waiting = _Patience(self._clock, self._timeouts, self.name)
            self.outstanding += 1
            try:
                response = await waiting.wait_for(client.send(http, stream=True))
                try:
                    await self._check(response, waiting)
                    async for piece in self._pieces(response.aiter_raw(), waiting):
                        yield piece
                finally:
                    await response.aclose()
            except httpx.HTTPError as error:
                kind = FailureKind.CUT if waiting.started else FailureKind.UNREACHABLE
                raise DependencyError(self.name, type(error).__name__, kind=kind) from error
            finally:
                self.outstanding -= 1

    def _leave_alone(self) -> None:
        left = self._retry_after.left()
        if left > 0:
            raise DependencyError(
                self.name,
                f"asked to be left alone for {left:.1f} s more",
                kind=FailureKind.REFUSED,
                source=ErrorSource.RATE_LIMIT,
                retry_after=str(math.ceil(left)),
            )

    async def _check(self, response: httpx.Response, waiting: "_Patience") -> None:
        if response.status_code == httpx.codes.OK:
            return
        if response.status_code == httpx.codes.TOO_MANY_REQUESTS:
            self._retry_after.note(response.headers.get("retry-after"))
        body = await waiting.wait_for(response.aread())
        raise DependencyError(
            self.name,
            f"status {response.status_code}",
            kind=FailureKind.STATUS,
            source=source_of_status(response.status_code, declared=declared_source(body)),
            retry_after=response.headers.get("retry-after"),
        )

    async def _pieces(
        self, incoming: AsyncIterator[bytes], waiting: "_Patience"
    ) -> AsyncGenerator[Token | Completion, None]:
        parser = SseParser()
        finish_reason: str | None = None
        usage = Usage()
        while True:
            data = await waiting.wait_for(anext(incoming, b""))
            if not data:
                raise DependencyError(self.name, "the stream ended before its answer did", kind=FailureKind.CUT)
            for event in parser.feed(data):
                if event == DONE:
                    if finish_reason is None:
                        reason = "the stream says it is done without a finish reason"
                        raise DependencyError(self.name, reason, kind=FailureKind.CUT)
                    yield Completion(finish_reason, usage)
                    await _drain(incoming)
                    return
                chunk = self._decode(event)
                usage = chunk.usage or usage
                for choice in chunk.choices:
                    finish_reason = choice.finish_reason or finish_reason
                    if choice.delta.content:
                        waiting.started = True
                        yield Token(choice.delta.content)

    def _decode(self, event: bytes) -> Chunk:
        try:
            chunk = self._chunk.decode(event)
        except msgspec.MsgspecError:
            raise DependencyError(self.name, "malformed chunk", kind=FailureKind.MALFORMED) from None
        if chunk.error is not None:
            source = ErrorSource.PROVIDER
            if chunk.error.error_source in tuple(ErrorSource):
                source = ErrorSource(chunk.error.error_source)
            raise DependencyError(self.name, "error event in the stream", kind=FailureKind.CUT, source=source)
        return chunk


async def _drain(incoming: AsyncIterator[bytes]) -> None:
    """Read what is left after [DONE], so that the connection can serve another call instead of being closed."""
    with suppress(TimeoutError, httpx.HTTPError):  # the answer is whole, whatever becomes of its connection
        async with asyncio.timeout(DRAIN_LIMIT_S):
            async for _ in incoming:
                pass


class _Patience:
    """The time limits of one call. Only waiting counts: a slow reader of ours is no fault of the provider's."""

    def __init__(self, clock: Clock, timeouts: StreamTimeouts, dependency: str) -> None:
        self.started = False
        self._clock = clock
        self._timeouts = timeouts
        self._dependency = dependency
        self._waited = 0.0

    async def wait_for(self, work: Awaitable[T]) -> T:
        """Return the result of one wait; raise DependencyError when it outlasts the limit that applies now."""
        timeouts = self._timeouts
        soon = timeouts.inter_token if self.started else timeouts.first_token - self._waited
        since = self._clock.monotonic()
        try:
            async with asyncio.timeout(max(min(soon, timeouts.total - self._waited), 0)):
                return await work
        except TimeoutError:
            what = "no next token" if self.started else "no first token"
            reason = f"{what} in time, {self._waited + self._clock.monotonic() - since:.2f} s waited in all"
            raise DependencyError(self._dependency, reason, kind=FailureKind.TIMEOUT) from None
        finally:
            self._waited += self._clock.monotonic() - since


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call worth trying."""

    provider: Provider
    model: str
    model_class: ModelClass


class ProviderChain:
    """Providers in the order of failover; before them the replicas of a self-hosted model, where there are any."""

    def __init__(
        self,
        providers: Sequence[Provider],
        *,
        models: dict[ModelClass, str],
        max_attempts: int,
        failover: bool,
        replicas: ReplicaPool[Provider] | None = None,
    ) -> None:
        self._providers = tuple(providers)
        self._replicas = replicas
        self._failover = failover
        self.models = models
        self._max_attempts = max_attempts

    @property
    def first(self) -> frozenset[str]:
        """Names of those of whom one answers when all is well."""
        return frozenset(self._replicas.names if self._replicas else (self._providers[0].name,))

    def candidates(self, classes: Sequence[ModelClass], failures: dict[str, DependencyError]) -> Iterator[Candidate]:
        """Yield calls to try, one after the other, until one succeeds.

        The caller notes each provider's last failure in `failures` before it asks for the next: a provider that could
        not be reached, or asked us to slow down, is not asked for its smaller model either.
        """
        calls = 0
        providers = self._in_order()
        for model_class in classes:
            model = self.models[model_class]
            for provider in providers:
                if model not in provider.models or _hopeless(failures.get(provider.name)):
                    continue
                if calls >= self._max_attempts:
                    return
                yield Candidate(provider, model, model_class)
                failure = failures.get(provider.name)
                calls += failure is None or failure.kind is not FailureKind.REFUSED

    def _in_order(self) -> Sequence[Provider]:
        if self._failover:
            return (*(self._replicas.order() if self._replicas else ()), *self._providers)
        return (self._replicas.first() if self._replicas else self._providers[0],)


def _hopeless(failure: DependencyError | None) -> bool:
    return failure is not None and (
        failure.kind in (FailureKind.REFUSED, FailureKind.UNREACHABLE) or failure.source is ErrorSource.RATE_LIMIT
    )
