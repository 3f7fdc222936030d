"""An LLM provider, or a replica of a self-hosted model: streamed calls.

Every call is streamed, also for a caller who wants one body: only a stream shows a provider that has stalled.
"""

import asyncio
import math
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar
from urllib.parse import quote

import httpx
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

T = TypeVar("T")


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
        self._chunk = msgspec.json.Decoder(Chunk)

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
            body = msgspec.json.encode(request)
            http = client.build_request(
                "POST",
                self._url,
                content=body,
                headers={
                    "content-type": "application/json",
                    TENANT_HEADER: quote(tenant),
                    **attempts.deadline.headers(),
                },
            )
            waiting = _Waiting(self._clock, self._timeouts, self.name, attempts)
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
                waiting.close()
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

    async def _check(self, response: httpx.Response, waiting: "_Waiting") -> None:
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
            backpressure=response.headers.get(backpressure.HEADER) == backpressure.HIGH,
        )

    async def _pieces(
        self, incoming: AsyncIterator[bytes], waiting: "_Waiting"
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


class _Waiting:
    """The time limits of one call. Only waiting counts: a slow reader of ours is no fault of the provider's."""

    def __init__(self, clock: Clock, timeouts: StreamTimeouts, dependency: str, attempts: Attempts) -> None:
        self.started = False
        self._patience = Patience()
        self._attempts = attempts
        self._clock = clock
        self._timeouts = timeouts
        self._dependency = dependency
        self._waited = 0.0

    def close(self) -> None:
        """Nothing more is waited for."""
        self._patience.close()

    async def wait_for(self, work: Awaitable[T]) -> T:
        """Return the result of one wait; raise DependencyError when it outlasts the limit that applies now."""
        timeouts = self._timeouts
        soon = timeouts.inter_token if self.started else timeouts.first_token - self._waited
        since = self._clock.monotonic()
        limit = max(min(soon, timeouts.total - self._waited), 0)
        left = self._attempts.deadline.left_downstream()
        try:
            return await self._patience.wait_for(work, min(limit, left))
        except TimeoutError:
            if left < limit:
                raise out_of_time(self._dependency) from None
            what = "no next token" if self.started else "no first token"
            reason = f"{what} in time, {self._waited + self._clock.monotonic() - since:.2f} s waited in all"
            raise DependencyError(self._dependency, reason, kind=FailureKind.TIMEOUT) from None
        finally:
            self._waited += self._clock.monotonic() - since
