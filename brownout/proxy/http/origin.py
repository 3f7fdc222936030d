"""The server's end of a link whose clients speak plain HTTP to us, and whose server is one of the internet's: it is
spoken to over TLS, and asked by its own name.

A client that was pointed at the link names the link in `Host`; a server of many names would answer another's 404.
"""

import asyncio
import re
from collections.abc import Callable

from brownout.proxy.connection import Connection
from brownout.proxy.http.endpoint import HttpEndpoint
from brownout.proxy.http.framing import END, HEAD, NOTHING, Requests
from brownout.proxy.link import Link

_HOST = re.compile(rb"(?<=\r\n)host:[^\r\n]*", re.IGNORECASE)


class OriginEndpoint(HttpEndpoint):
    """As `HttpEndpoint`, and every request that goes on names the server."""

    half_closes = False
    """TLS ends as a whole (RFC 8446, section 6.1; asyncio's closes at once)."""

    def __init__(
        self, connection: Connection, made: Callable[[], None], *, outgoing: Link, incoming: Link, host: str
    ) -> None:
        """`host` as a `Host` field has it: with a port where that is not the scheme's own."""
        super().__init__(connection, made, outgoing=outgoing, incoming=incoming)
        self._host = host

    def _take(self, transport: asyncio.Transport) -> None:
        super()._take(transport)
        self._send = Addressing(self._host, transport.write).write


class Addressing:
    """Puts a host's name into the head of each request that is written."""

    def __init__(self, host: str, write: Callable[[bytes], None]) -> None:
        self._field = b"Host: " + host.encode("ascii")
        self._write = write
        self._requests = Requests()
        self._in_body = False
        self._head = b""
        """What has come of a head that is not whole yet."""

    def write(self, data: bytes) -> None:
        """Pass it on; what is no HTTP, as it is."""
        pieces: list[bytes] = []
        start = 0
        while True:
            end, part = self._requests.advance(data, start)
            piece, start = data[start:end], end
            if part == HEAD:
                pieces.append(_HOST.sub(lambda _: self._field, self._head + piece, count=1))
                self._head, self._in_body = b"", True
            elif part == NOTHING and not self._in_body and not self._requests.opaque:
                self._head += piece
            else:
                pieces.append(self._head + piece)
                self._head, self._in_body = b"", part != END
            if part == NOTHING or (part == END and start == len(data)):
                break
        if found := b"".join(pieces):
            self._write(found)
