"""One connection through the proxy: two sockets, and a link in each direction.

    client socket ──upstream link──▶ server socket
                  ◀──downstream link──

Its ends hand what they read to a link, and write what a link has let through.
"""

import asyncio
import socket
import struct
from collections.abc import Callable
from random import Random
from typing import cast

from brownout.proxy.counters import Counters
from brownout.proxy.link import Link
from brownout.proxy.scheduler import Scheduler
from brownout.proxy.toxic import Stream

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Endpoint(asyncio.Protocol):
    """One socket of a connection. TCP_NODELAY is set by both event loops."""

    __slots__ = (
        "_connection",
        "_incoming",
        "_made",
        "_outgoing",
        "pause_reading",
        "resume_reading",
        "transport",
        "write",
    )

    half_closes = True
    """Whether one half of it can end before the other, as TCP's can."""

    write: Callable[[bytes], None]
    pause_reading: Callable[[], None]
    resume_reading: Callable[[], None]

    def __init__(self, connection: "Connection", made: Callable[[], None], *, outgoing: Link, incoming: Link) -> None:
        self._connection = connection
        self._made = made
        self._outgoing = outgoing
        self._incoming = incoming
        self.transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._take(cast("asyncio.Transport", transport))
        self._made()

    def _take(self, transport: asyncio.Transport) -> None:
        self.transport = transport
        self.write = transport.write
        self.pause_reading = transport.pause_reading
        self.resume_reading = transport.resume_reading

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, as far as it is known: of mere bytes it never is."""
        return False

    def write_eof(self) -> None:
        """The link into this socket is at its end: pass the half-close on."""
        if self.transport is not None and self.half_closes:
            self.transport.write_eof()
        elif self.transport is not None:
            # Whoever has stopped asking is taken to have gone.
            self._connection.close()

    def data_received(self, data: bytes) -> None:
        self._outgoing.feed(data)

    def eof_received(self) -> bool:
        self._outgoing.end()
        return self.half_closes  # keep the other half open

    def pause_writing(self) -> None:
        self._incoming.pause(self)

    def resume_writing(self) -> None:
        self._incoming.resume(self)

    def connection_lost(self, exc: Exception | None) -> None:
        self.transport = None
        self._incoming.close()
        self._outgoing.end(badly=True)
        self._connection.lost()


class Connection:
    """A client's socket, the server's socket opened for it, and the links between the two."""

    def __init__(
        self,
        *,
        counters: Counters,
        scheduler: Scheduler,
        rng: Random,
        accepted: Callable[["Connection"], None],
        dialled: Callable[["Connection"], None],
        gone: Callable[["Connection"], None],
        server: Callable[..., Endpoint] = Endpoint,
    ) -> None:
        """Callbacks: `accepted` when the client's socket is there, `dialled` when both are, `gone` when none is.

        `server` stands at the server's end: one that understands what the link carries, or one that need not.
        """
        self.counters = counters
        self.scheduler = scheduler
        self.rng = rng
        self.over = False
        """Closing or closed."""
        self.established = False
        """Both sockets are there, and the toxics of that moment have met the connection: one that comes later meets it
        in mid-flow."""
        self._accepted = accepted
        self._dialled = dialled
        self._gone = gone
        self._finished: set[Stream] = set()
        self.upstream = Link(self, Stream.UPSTREAM, counters.upstream)
        self.downstream = Link(self, Stream.DOWNSTREAM, counters.downstream)
        self.upstream.opposite, self.downstream.opposite = self.downstream, self.upstream
        self.client = Endpoint(self, self._client_made, outgoing=self.upstream, incoming=self.downstream)
        self.server = server(self, self._server_made, outgoing=self.downstream, incoming=self.upstream)
        self.upstream.source = self.downstream.sink = self.client
        self.upstream.sink = self.downstream.source = self.server

    def link(self, stream: Stream) -> Link:
        return self.upstream if stream is Stream.UPSTREAM else self.downstream

    def close(self) -> None:
        """End both sides in an orderly way, after what is already on its way to the sockets."""
        self._end(_close)

    def abort(self) -> None:
        """End both sides at once."""
        self._end(_abort)

    def reset(self) -> None:
        """End both sides at once, with a TCP RST."""
        self._end(_reset)

    def finished(self, link: Link) -> None:
        """The link has delivered everything: pass the half-close on; with both done the connection is over."""
        self._finished.add(link.stream)
        if len(self._finished) == 2:
            self.close()
        else:
            link.sink.write_eof()

    def lost(self) -> None:
        """One of the sockets is closed."""
        if self.client.transport is None and self.server.transport is None:
            self._gone(self)

    def _client_made(self) -> None:
        self.downstream.start()
        self._accepted(self)

    def _server_made(self) -> None:
        if self.over:
            self.abort()
            return
        self._dialled(self)
        self.established = True
        self.upstream.start()

    def _end(self, how: Callable[[asyncio.Transport], None]) -> None:
        self.over = True
        self.upstream.close()
        self.downstream.close()
        for endpoint in (self.client, self.server):
            if endpoint.transport is not None:
                how(endpoint.transport)


def _close(transport: asyncio.Transport) -> None:
    transport.close()


def _abort(transport: asyncio.Transport) -> None:
    transport.abort()


def _reset(transport: asyncio.Transport) -> None:
    # Closing a socket that lingers for zero seconds sends RST instead of FIN (socket(7), SO_LINGER).
    transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_ZERO)
    transport.abort()
