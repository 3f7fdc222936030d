"""An answer as a response of httpx, or of httpx2, whichever the request belongs to."""

import functools
import sys
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

from brownout.dialect import Chunk, Cut, Hang, HttpAnswer, Step, StreamAnswer, Wait
from brownout.inprocess.fault import Outage, ProviderFault
from brownout.inprocess.pace import FOREVER, INSTANT, Pace


@dataclass(frozen=True, slots=True)
class _Unreached:
    """No response at all."""

    error: Exception
    waits: bool = False
    limit: float | None = None
    """The client's timeout in seconds, which ends the wait; None: nothing does."""


def response_for(fault: ProviderFault, request: Any) -> Any:
    """The response of that fault to a request; None where it has none.

    Raises:
        httpx.TransportError: the provider cannot be reached.
        WaitsForever: it never answers, and the client has no timeout.
    """
    request.read()
    met = _met(fault, request)
    if isinstance(met, _Unreached):
        if met.waits:
            fault.pace.spend(FOREVER, met.limit)
        raise met.error
    return met


async def async_response_for(fault: ProviderFault, request: Any) -> Any:
    """The same for an async client."""
    await request.aread()
    met = _met(fault, request)
    if isinstance(met, _Unreached):
        if met.waits:
            await fault.pace.aspend(FOREVER, met.limit)
        raise met.error
    return met


def responded(fault: ProviderFault, request: Any) -> Any:
    """The same for respx, which has read the request, and calls alike for sync and async clients: nothing may block."""
    met = _met(fault, request)
    if isinstance(met, _Unreached):
        if met.waits:
            INSTANT.spend(FOREVER, met.limit)
        raise met.error
    return met


def _met(fault: ProviderFault, request: Any) -> Any:
    """A response of the request's library, an `_Unreached`, or None."""
    path = request.url.raw_path.decode("ascii")
    outcome = fault.answer(request.method, request.url.host, path, request.content)
    if outcome is None:
        return None
    library, limits = _library(request), _limits(request)
    match outcome:
        case Outage.REFUSED:
            return _Unreached(library.ConnectError("[Errno 111] Connection refused", request=request))
        case Outage.UNREACHABLE:
            late = library.ConnectTimeout("timed out", request=request)
            return _Unreached(late, waits=True, limit=limits.get("connect"))
        case Outage.SILENT:
            late = library.ReadTimeout("timed out", request=request)
            return _Unreached(late, waits=True, limit=limits.get("read"))
        case answer:
            return _response(answer, request, fault.pace)


def _library(request: Any) -> Any:
    return sys.modules[type(request).__module__.partition(".")[0]]


def _limits(request: Any) -> dict[str, float | None]:
    """The client's timeouts in seconds, by phase."""
    limits: dict[str, float | None] = request.extensions.get("timeout", {})
    return limits


def _response(answer: HttpAnswer | StreamAnswer, request: Any, pace: Pace) -> Any:
    library = _library(request)
    version = {"http_version": b"HTTP/1.1"}
    if isinstance(answer, HttpAnswer) and not answer.truncated:
        return library.Response(answer.status, headers=answer.headers, content=answer.body, extensions=version)
    if isinstance(answer, HttpAnswer):
        got, all_of_it = len(answer.body), answer.declared_length
        broken = f"(received {got} bytes, expected {all_of_it})"
        steps: tuple[Step, ...] = (Chunk(answer.body), Cut())
        headers = answer.headers
    else:
        broken = "(incomplete chunked read)"
        steps = answer.steps
        headers = (*answer.headers, ("transfer-encoding", "chunked"))
    stream = _stream_class(library)(library, steps, pace, _limits(request).get("read"), broken)
    return library.Response(answer.status, headers=headers, stream=stream, extensions=version)


class _Played:
    """The body of a response, step by step; for sync and async clients alike."""

    def __init__(self, library: Any, steps: tuple[Step, ...], pace: Pace, limit: float | None, broken: str) -> None:
        self._library, self._steps, self._pace, self._limit, self._broken = library, steps, pace, limit, broken

    def __iter__(self) -> Iterator[bytes]:
        for step in self._steps:
            if isinstance(step, Chunk):
                yield step.data
            elif isinstance(step, Cut):
                raise self._cut()
            elif self._pace.spend(_seconds(step), self._limit):
                raise self._library.ReadTimeout("timed out")

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for step in self._steps:
            if isinstance(step, Chunk):
                yield step.data
            elif isinstance(step, Cut):
                raise self._cut()
            elif await self._pace.aspend(_seconds(step), self._limit):
                raise self._library.ReadTimeout("timed out")

    def _cut(self) -> Exception:
        text = f"peer closed connection without sending complete message body {self._broken}"
        error: Exception = self._library.RemoteProtocolError(text)
        return error


def _seconds(step: Wait | Hang) -> float:
    return step.seconds if isinstance(step, Wait) else FOREVER


@functools.cache
def _stream_class(library: Any) -> type[Any]:
    """The library asserts that a response's stream is one of its own."""
    return type("PlayedStream", (_Played, library.SyncByteStream, library.AsyncByteStream), {})
