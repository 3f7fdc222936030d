"""An LLM provider, or a replica of a self-hosted model: streamed calls.

Every call is streamed, also for a caller who wants one body: only a stream shows a provider that has stalled.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import quote

import aiohttp
import msgspec

from target_stack import backpressure
from target_stack.clock import Clock
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, ErrorSource, FailureKind, out_of_time, source_of_status
from target_stack.http_peer import HttpPeer
from target_stack.patience import Patience
from target_stack.retry_after import RetryAfter
from target_stack.serving import Usage
from target_stack.sse import DONE, SseParser
from target_stack.wire import Chunk, Message, ProviderRequest, StreamOptions, declared_source

__all__ = ["Completion", "Provider", "StreamTimeouts", "Token"]


DRAIN_LIMIT_S = 0.25
TENANT_HEADER = "x-tenant-id"

_CHUNK = msgspec.json.Decoder(Chunk)
Read = Callable[[], Awaitable[bytes]]


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamTimeouts:
    """Limits of one call, in seconds: to the first token, between two tokens, and on all waiting together."""

    first_token: float
    inter_token: float
    total: float


class Token(msgspec.Struct, frozen=True):
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
        self._url = peer.url("/v1/chat/completions")
        self._clock = clock
        self._timeouts = timeouts
        self._retry_after = RetryAfter(clock, honoured=honour_retry_after)

    @property
    def available(self) -> bool:
        """Whether a call would reach it now: its breaker admits one, and it has not asked to be left alone."""
        return self._dependency.breaker.admits and self._retry_after.left() <= 0

    async def stream(
        self, model: str, messages: Sequence[Message], *, tenant: str, max_tokens: int | None, attempts: Attempts
    ) -> AsyncGenerator[Token | Completion, None]:
        """Yield tokens and, last, the completion; raise DependencyError when the provider fails, also half-way.

        The provider is told whose call it is by `X-Tenant-Id`, percent-encoded where a header could not hold it. The
        caller closes the generator (`contextlib.aclosing`): that ends the call at the provider.
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
            call = client.post(
                self._url,
                data=msgspec.json.encode(request),
                headers={
                    "content-type": "application/json",
                    TENANT_HEADER: quote(tenant),
                    **attempts.deadline.headers(),
                },
            )
            patience, limits = Patience(), _Limits(self._clock, self._timeouts, self.name, attempts)
            self.outstanding += 1
            try:
                response = await patience.wait_for(call, limits.wait_begins())
                limits.wait_ends()
                try:
                    await self._check(response, patience, limits)
                    read = response.content.readany
                    answer = _Answer(self.name)
                    while not answer.whole:
                        data = await patience.wait_for(read(), limits.wait_begins())
                        limits.wait_ends()
                        for piece in answer.feed(data):
                            limits.started = True
                            yield piece
                    await _drain(read)
                finally:
                    response.close()  # the connection too, unless all of the response has been read
            # First: that a connection takes too long is both, and no limit of the call's.
            except aiohttp.ClientError as error:
                kind = FailureKind.CUT if limits.started else FailureKind.UNREACHABLE
                raise DependencyError(self.name, type(error).__name__, kind=kind) from error
            except TimeoutError:
                raise limits.too_late() from None
            finally:
                patience.close()
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

    async def _check(self, response: aiohttp.ClientResponse, patience: Patience, limits: "_Limits") -> None:
        if response.status == HTTPStatus.OK:
            return
        if response.status == HTTPStatus.TOO_MANY_REQUESTS:
            self._retry_after.note(response.headers.get("retry-after"))
        body = await patience.wait_for(response.read(), limits.wait_begins())
        raise DependencyError(
            self.name,
            f"status {response.status}",
            kind=FailureKind.STATUS,
            source=source_of_status(response.status, declared=declared_source(body)),
            retry_after=response.headers.get("retry-after"),
            backpressure=response.headers.get(backpressure.HEADER) == backpressure.HIGH,
        )


class _Answer:
    """What a provider's stream says; raises DependencyError for one that is no answer, or not a whole one."""

    def __init__(self, dependency: str) -> None:
        self.whole = False
        self._dependency = dependency
        self._parser = SseParser()
        self._finish_reason: str | None = None
        self._usage = Usage()

    def feed(self, data: bytes) -> Iterator[Token | Completion]:
        """Yield what these bytes add; no bytes are the end of the stream."""
        if not data:
            reason = "the stream ended before its answer did"
            raise DependencyError(self._dependency, reason, kind=FailureKind.CUT)
        for event in self._parser.feed(data):
            if event == DONE:
                if self._finish_reason is None:
                    reason = "the stream says it is done without a finish reason"
                    raise DependencyError(self._dependency, reason, kind=FailureKind.CUT)
                self.whole = True
                yield Completion(self._finish_reason, self._usage)
                return
            chunk = self._decode(event)
            self._usage = chunk.usage or self._usage
            for choice in chunk.choices:
                self._finish_reason = choice.finish_reason or self._finish_reason
                if choice.delta.content:
                    yield Token(choice.delta.content)

    def _decode(self, event: bytes) -> Chunk:
        try:
            chunk = _CHUNK.decode(event)
        except msgspec.MsgspecError:
            raise DependencyError(self._dependency, "malformed chunk", kind=FailureKind.MALFORMED) from None
        if chunk.error is not None:
            source = ErrorSource.PROVIDER
            if chunk.error.error_source in tuple(ErrorSource):
                source = ErrorSource(chunk.error.error_source)
            reason = "error event in the stream"
            raise DependencyError(self._dependency, reason, kind=FailureKind.CUT, source=source)
        return chunk


async def _drain(read: Read) -> None:
    """Read what is left after [DONE], so that the connection can serve another call instead of being closed."""
    with suppress(TimeoutError, aiohttp.ClientError):  # the answer is whole, whatever becomes of its connection
        async with asyncio.timeout(DRAIN_LIMIT_S):
            while await read():
                pass


class _Limits:
    """The time limits of one call. Only waiting counts: a slow reader of ours is no fault of the provider's."""

    def __init__(self, clock: Clock, timeouts: StreamTimeouts, dependency: str, attempts: Attempts) -> None:
        self.started = False
        self._until = attempts.deadline.at_downstream
        self._clock = clock
        self._timeouts = timeouts
        self._dependency = dependency
        self._waited = 0.0
        self._since = 0.0
        self._in_a_hurry = False

    def wait_begins(self) -> float:
        """Return how long the wait that begins now may take, in seconds."""
        timeouts = self._timeouts
        soon = timeouts.inter_token if self.started else timeouts.first_token - self._waited
        limit = max(min(soon, timeouts.total - self._waited), 0.0)
        self._since = self._clock.monotonic()
        left = max(self._until - self._since, 0.0)
        self._in_a_hurry = left < limit
        return min(limit, left)

    def wait_ends(self) -> None:
        """Note that what was waited for has come."""
        self._waited += self._clock.monotonic() - self._since

    def too_late(self) -> DependencyError:
        """Return the failure of a call whose last wait took too long."""
        if self._in_a_hurry:
            return out_of_time(self._dependency)
        self.wait_ends()
        what = "no next token" if self.started else "no first token"
        reason = f"{what} in time, {self._waited:.2f} s waited in all"
        return DependencyError(self._dependency, reason, kind=FailureKind.TIMEOUT)
