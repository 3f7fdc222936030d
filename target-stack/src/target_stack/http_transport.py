"""HTTP/1.1 for httpx, straight on asyncio's protocols and httptools' parser.

httpx's own transport goes through httpcore, anyio and h11, all of it Python: that was a third of the gateway's time,
for each piece of a stream passes through it, and each request looked at every idle connection. This one does what the
gateway's calls need: GET and POST with a body that is in memory, over connections that are kept. No proxies, no HTTP/2,
no upgrades.
"""

import asyncio
import itertools
import select
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from typing import cast

import httptools
import httpx

from target_stack.naming import Resolver, UnresolvedError

__all__ = ["READ", "Transport"]

READ = "read"
"""Extension of a response: `await read()` is the next piece of its body, nothing at its end. The same as `aiter_raw`
gives, without the three generators that httpx puts around it."""
HIGH_WATER = 64 * 1024
"""A connection with so many bytes that nobody has read yet is not read from."""
Origin = tuple[str, str, int]
"""Scheme, host and port."""


class Transport(httpx.AsyncBaseTransport):
    """Keeps up to `max_idle` idle connections, each for up to `idle_expiry` seconds. Without a limit on the others."""

    def __init__(self, *, verify: bool, resolver: Resolver | None, max_idle: int, idle_expiry: float) -> None:
        """Without a resolver, names are the system's matter. `verify` loads the trust store; there is no https else."""
        self._tls = httpx.create_ssl_context(trust_env=False) if verify else None
        self._resolver = resolver
        self._max_idle = max_idle
        self._idle_expiry = idle_expiry
        self._idle: dict[Origin, deque[_Connection]] = defaultdict(deque)
        self._closed = False

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request; return its response once the head is there. Raises httpx.TransportError."""
        url = request.url
        origin = (url.scheme, url.host, url.port or (443 if url.scheme == "https" else 80))
        connection = self._kept(origin) or await self._open(origin, request)
        try:
            head = await connection.ask(_encoded(request, await request.aread()))
        except httpx.TransportError as error:
            error.request = request
            raise
        except BaseException:
            await connection.close()
            raise
        return httpx.Response(
            head[0],
            headers=head[1],
            stream=_Body(self, connection, origin),
            extensions={READ: connection.read},
        )

    async def aclose(self) -> None:
        """Close the idle connections now, and the others when their responses end."""
        self._closed = True
        kept, self._idle = self._idle, defaultdict(deque)
        for connection in itertools.chain.from_iterable(kept.values()):
            await connection.close()

    async def give_back(self, connection: "_Connection", origin: Origin) -> None:
        """Take back a connection whose response has been read, or given up."""
        kept = self._idle[origin]
        if not connection.reusable or self._closed or len(kept) >= self._max_idle:
            await connection.close()
            return
        connection.idle_since = time.monotonic()
        kept.append(connection)

    def _kept(self, origin: Origin) -> "_Connection | None":
        """Return the connection that was used last; those at the other end of the queue go when they are too old."""
        kept = self._idle[origin]
        oldest = time.monotonic() - self._idle_expiry
        while kept and (kept[0].closed or kept[0].idle_since < oldest):
            kept.popleft().abort()
        while kept:
            connection = kept.pop()
            if not connection.stale:
                return connection
            connection.abort()
        return None

    async def _open(self, origin: Origin, request: httpx.Request) -> "_Connection":
        scheme, host, port = origin
        limit = request.extensions.get("timeout", {}).get("connect")
        tls = self._tls if scheme == "https" else None
        if scheme != "http" and tls is None:
            msg = f"{scheme} is not spoken here"
            raise httpx.UnsupportedProtocol(msg, request=request)
        try:
            # One limit for both: the name and the connection.
            async with asyncio.timeout(limit):
                address = host if self._resolver is None else await self._resolver.address(host, limit=limit)
                _, connection = await asyncio.get_running_loop().create_connection(
                    _Connection, address, port, ssl=tls, server_hostname=host if tls else None
                )
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error), request=request) from error
        # Of a connection that was reset as soon as it was made uvloop says RuntimeError.
        except (UnresolvedError, OSError, RuntimeError) as error:
            raise httpx.ConnectError(str(error), request=request) from error
        return connection


def _encoded(request: httpx.Request, body: bytes) -> bytes:
    """Return the request as it goes over the wire (RFC 9112)."""
    lines = [b"%b %b HTTP/1.1\r\n" % (request.method.encode("ascii"), request.url.raw_path)]
    lines += [b"%b: %b\r\n" % header for header in request.headers.raw]
    return b"".join((*lines, b"\r\n", body))


Headers = list[tuple[bytes, bytes]]


class _Connection(asyncio.Protocol):
    """One connection, for one request at a time. The parser calls the methods that begin with `on_`."""

    def __init__(self) -> None:
        self.closed = False
        self.idle_since = 0.0
        self._parser = httptools.HttpResponseParser(self)
        self._headers: Headers = []
        self._head: tuple[int, Headers] | None = None
        self._pieces: list[bytes] = []
        self._held = 0
        self._whole = True
        self._reusable = False
        self._error: httpx.TransportError | None = None
        self._waiting: asyncio.Future[None] | None = None
        self._lost = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    @property
    def reusable(self) -> bool:
        """Whether it can carry another request: the response is over, and the server has not said that it closes."""
        return self._reusable and not self.closed

    @property
    def stale(self) -> bool:
        """Whether an idle one is of no more use. That the peer has just closed it the event loop may not know yet."""
        if self.closed:
            return True
        looks = select.poll()
        looks.register(self._transport.get_extra_info("socket").fileno(), select.POLLIN)
        return bool(looks.poll(0))

    async def ask(self, request: bytes) -> tuple[int, Headers]:
        """Send a request; return status and headers of its response."""
        self._begin()
        self._transport.write(request)
        while (head := self._head) is None:
            await self._more()
        return head

    def _begin(self) -> None:
        self._head, self._whole, self._reusable = None, False, False

    async def read(self) -> bytes:
        """Return what has come of the body, as soon as there is something; nothing at its end."""
        while not self._pieces:
            if self._whole:
                return b""
            await self._more()
        found = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._held > HIGH_WATER:
            self._transport.resume_reading()
        self._held = 0
        return found

    def _more(self) -> asyncio.Future[None]:
        """Return what is done when more has come; raise what has ended the connection before its time."""
        if self._error is not None:
            raise self._error
        self._waiting = self._loop.create_future()
        return self._waiting

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is not None and not waiting.done():
            waiting.set_result(None)

    def _fail(self, error: httpx.TransportError) -> None:
        if not self._whole and self._error is None:
            self._error = error
        self.abort()

    def abort(self) -> None:
        """Begin to close it, whatever is under way."""
        self.closed = True
        self._transport.abort()

    async def close(self) -> None:
        """Close it, whatever is under way; return when that is done."""
        self.abort()
        await self._lost.wait()

    # What the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        if self._whole:  # of no request: whatever it is, it must not become the next one's response
            self.abort()
            return
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._fail(httpx.RemoteProtocolError(str(error)))
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:
        if exc is not None:
            self._fail(httpx.ReadError(str(exc)))
        elif self._head is not None and self._ends_with_connection(self._head[1]):
            self._whole = True
        else:
            self._fail(httpx.RemoteProtocolError("The peer closed the connection before its response was whole."))
        self.closed = True
        self._lost.set()
        self._wake()

    @staticmethod
    def _ends_with_connection(headers: Headers) -> bool:
        """RFC 9112, section 6.3: a response that says nothing of its length."""
        return not {b"content-length", b"transfer-encoding"} & {name.lower() for name, _ in headers}

    # What the parser calls

    def on_message_begin(self) -> None:
        if self._whole:
            msg = "a response that nobody asked for"
            raise ValueError(msg)  # to the parser, which makes it an error of its own

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        status, headers, self._headers = self._parser.get_status_code(), self._headers, []
        if status >= httpx.codes.OK:  # others come before the response proper
            self._head = (status, headers)

    def on_body(self, body: bytes) -> None:
        self._pieces.append(body)
        before, self._held = self._held, self._held + len(body)
        if before <= HIGH_WATER < self._held:
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if self._head is not None:
            self._whole, self._reusable = True, self._parser.should_keep_alive()


class _Body(httpx.AsyncByteStream):
    """The body of one response, as it comes."""

    def __init__(self, transport: Transport, connection: _Connection, origin: Origin) -> None:
        self._transport = transport
        self._connection: _Connection | None = connection
        self._origin = origin

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self._connection is not None and (piece := await self._connection.read()):
            yield piece

    async def aclose(self) -> None:
        """Let another request have the connection; a response that is not whole ends it."""
        connection, self._connection = self._connection, None
        if connection is not None:
            await self._transport.give_back(connection, self._origin)
