"""The control port: HTTP/1.1 around the API, for holders of the run's token only."""

import asyncio
import base64
import binascii
import contextlib
import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus

import h11

from brownout.proxy.api import JSON, Api, Reply
from brownout.proxy.errors import ApiError

TOKEN_HEADER = "X-Brownout-Token"  # noqa: S105 - the header's name
"""Where the token may be as well: whoever relays requests may keep `Authorization` to themselves (an API server)."""
BODY_LIMIT = 2**20
"""Bytes; a request body beyond it is refused with 413."""
_REQUEST_S = 15.0
"""Seconds that the client may take over each piece of a request, as with Toxiproxy (`api.go`, read timeout)."""
_IDLE_S = 60.0
"""Seconds that a connection may stay idle between two requests, likewise."""
_READ_SIZE = 2**16


class ControlServer:
    """Serves an `Api` over HTTP."""

    def __init__(self, api: Api, *, token: str) -> None:
        self._api = api
        self._token = token.encode()
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.Task[None]] = set()

    async def start(self, host: str, port: int) -> str:
        """Listen, and return the URL to be reached by. Raises OSError if the port cannot be bound."""
        self._server = await asyncio.start_server(self._serve, host, port)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop whoever is connected."""
        if self._server is not None:
            self._server.close()
        clients = list(self._clients)
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            self._clients.add(task)
            task.add_done_callback(self._clients.discard)
        # A client that went away, was too slow, or is dropped by `close`, needs no answer. Being dropped ends the task
        # well: asyncio's own callback fails on one that is cancelled (Python 3.11).
        with contextlib.suppress(OSError, TimeoutError, asyncio.CancelledError), contextlib.closing(writer):
            await self._converse(_Http(reader, writer))

    async def _converse(self, http: "_Http") -> None:
        while http.open:
            request: h11.Request | None = None
            try:
                request = await http.next_request()
                if request is None:
                    return
                self._admit(dict(request.headers))
                body = await http.body()
                reply = await self._api.handle(request.method.decode(), request.target.decode(), body)
            except ApiError as exc:
                reply = Reply(exc.status, {"error": exc.message, "status": exc.status})
            await http.send(reply, without_body=request is not None and request.method == b"HEAD")

    def _admit(self, headers: Mapping[bytes, bytes]) -> None:
        # Any web page can make its visitor's browser send requests to a loopback port, hence Toxiproxy's rule.
        if headers.get(b"user-agent", b"").startswith(b"Mozilla/"):
            raise ApiError(HTTPStatus.FORBIDDEN, "User agent not allowed")
        given = headers.get(TOKEN_HEADER.lower().encode()) or _given_token(headers.get(b"authorization", b""))
        if not hmac.compare_digest(given, self._token):
            msg = "this needs the run's token, as 'Authorization: Bearer TOKEN' or as the password of HTTP Basic"
            raise ApiError(HTTPStatus.UNAUTHORIZED, msg)


def _given_token(authorization: bytes) -> bytes:
    scheme, _, value = authorization.strip().partition(b" ")
    if scheme.lower() == b"bearer":
        return value.strip()
    if scheme.lower() == b"basic":
        with contextlib.suppress(binascii.Error):
            return base64.b64decode(value.strip(), validate=True).partition(b":")[2]
    return b""


def _encoded(reply: Reply) -> bytes:
    if reply.body is None:
        return b""
    if reply.content_type == JSON:
        return json.dumps(reply.body, separators=(",", ":")).encode() + b"\n"
    return str(reply.body).encode()


class _Http:
    """One client's connection, request after request."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._connection = h11.Connection(h11.SERVER)

    @property
    def open(self) -> bool:
        """Whether another request may follow."""
        return self._connection.our_state is h11.IDLE

    async def next_request(self) -> h11.Request | None:
        """The next request's head; None when the client has no more to say. Raises ApiError, TimeoutError."""
        event = await self._next_event(_IDLE_S)
        return event if isinstance(event, h11.Request) else None

    async def body(self) -> bytes:
        """Raises ApiError (413 when it is too large), TimeoutError."""
        body = bytearray()
        while isinstance(event := await self._next_event(_REQUEST_S), h11.Data):
            body += event.data
            if len(body) > BODY_LIMIT:
                raise ApiError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"request body above {BODY_LIMIT} bytes")
        return bytes(body)

    async def send(self, reply: Reply, *, without_body: bool) -> None:
        """Answer the request, and be ready for the next one where there can be one."""
        body = _encoded(reply)
        headers = [] if reply.body is None else [("Content-Type", reply.content_type)]
        if reply.status is not HTTPStatus.NO_CONTENT:
            headers.append(("Content-Length", str(len(body))))
        if reply.status is HTTPStatus.UNAUTHORIZED:
            headers.append(("WWW-Authenticate", 'Bearer realm="brownout"'))
        if self._connection.their_state is not h11.DONE:
            headers.append(("Connection", "close"))  # the rest of the request will not be read
        self._write(h11.Response(status_code=reply.status, reason=reply.status.phrase.encode(), headers=headers))
        self._write(h11.Data(data=b"" if without_body else body))
        self._write(h11.EndOfMessage())
        await self._writer.drain()
        if self._connection.our_state is h11.DONE and self._connection.their_state is h11.DONE:
            self._connection.start_next_cycle()

    async def _next_event(self, patience_s: float) -> object:
        try:
            while (event := self._connection.next_event()) is h11.NEED_DATA:
                if self._connection.they_are_waiting_for_100_continue:
                    self._write(h11.InformationalResponse(status_code=100, headers=[]))
                async with asyncio.timeout(patience_s):
                    self._connection.receive_data(await self._reader.read(_READ_SIZE))
        except h11.RemoteProtocolError as exc:
            raise ApiError(HTTPStatus.BAD_REQUEST, f"not HTTP: {exc}") from exc
        return event

    def _write(self, event: h11.Event) -> None:
        self._writer.write(self._connection.send(event) or b"")
