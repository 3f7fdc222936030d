"""One connection through the proxy: two sockets, and a link in each direction with its chain of toxics.

    client socket ──upstream link:  stage → stage──▶ server socket
                  ◀──stage ← stage :downstream link──

Bytes are pushed through a chain by plain calls: no task, no queue and no copy where no toxic asks for one.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from random import Random
from typing import Any, cast

from brownout.proxy.counters import Counters, Flow
from brownout.proxy.scheduler import Scheduler
from brownout.proxy.toxic import TOXIC_TYPES, Stage, Stream, Toxic

_LINGER_ZERO = struct.pack("ii", 1, 0)


class Link:
    """One direction of one connection: what is read off the source goes through the stages into the sink."""

    __slots__ = (
        "_brakes",
        "_cut",
        "_draws",
        "_early",
        "_ended_badly",
        "_open",
        "_stages",
        "_started",
        "connection",
        "counters",
        "ended",
        "feed",
        "flow",
        "opposite",
        "rng",
        "scheduler",
        "sink",
        "source",
        "stream",
    )

    feed: Callable[[bytes], None]
    """Where the source's bytes enter: the first stage, or the sink."""
    opposite: "Link"
    source: "Endpoint"
    sink: "Endpoint"

    def __init__(self, connection: "Connection", stream: Stream, flow: Flow) -> None:
        self.connection = connection
        self.stream = stream
        self.flow = flow
        self.counters = connection.counters
        self.scheduler = connection.scheduler
        self.rng = connection.rng
        self.ended = False
        """The source will send no more; what it sent before may still be on its way."""
        self._ended_badly = False
        self._cut = False
        self._open = True
        self._brakes: set[object] = set()
        self._stages: list[Stage[Any]] = []
        self._draws: dict[Toxic, float] = {}
        self._started = False
        self._early: list[bytes] = []
        self.feed = self._keep

    def start(self) -> None:
        """The sink is there: let flow what was sent too early, and all that follows."""
        self._started = True
        self._chain(self._stages)
        early, self._early = self._early, []
        for chunk in early:
            self.feed(chunk)
        self.resume(self)
        if self.ended:
            self._end_stream()

    def apply(self, toxics: Sequence[Toxic]) -> None:
        """Make the chain consist of those of the toxics that strike this connection, in their order.

        Chance is drawn once per toxic and connection, so raising a toxicity only adds connections and lowering it only
        frees some.
        """
        for toxic in toxics:
            if toxic not in self._draws:
                self._draws[toxic] = self.rng.random()
        self._draws = {toxic: self._draws[toxic] for toxic in toxics}
        if self._open:
            self._arrange([toxic for toxic in toxics if self._draws[toxic] < toxic.toxicity])

    def update(self, toxic: Toxic) -> None:
        """A toxic's attributes have changed."""
        for stage in self._stages:
            if stage.toxic is toxic:
                stage.updated()

    def pause(self, why: object) -> None:
        """Stop reading from the source, until every reason given has been taken back by `resume`."""
        if not self._brakes and self._reading:
            self.source.pause_reading()
        self._brakes.add(why)

    def resume(self, why: object) -> None:
        """Take back a reason to pause; harmless if it was not given."""
        if why in self._brakes:
            self._brakes.remove(why)
            if not self._brakes and self._reading:
                self.source.resume_reading()

    def end(self, *, badly: bool = False) -> None:
        """The source is at its end: an orderly one, or a reset. It goes through the stages like data."""
        self._ended_badly |= badly
        if not self.ended:
            self.ended = True
            if badly or self._started:
                self._end_stream()

    def cut(self) -> None:
        """The stream ends short of its end: when the end that a stage now forwards gets through, both sides close."""
        self._cut = True

    def close(self) -> None:
        """Forward nothing any more."""
        if self._open:
            self._open = False
            for stage in self._stages:
                stage.closed()
            self._stages = []
            self.feed = _drop

    @property
    def _reading(self) -> bool:
        # Event loops would report the end of the stream a second time if reading were resumed after it.
        return self._open and not self.ended

    def _arrange(self, striking: Sequence[Toxic]) -> None:
        for stage in [stage for stage in self._stages if stage.toxic not in striking]:
            # While it still is in the chain, so that what it held back goes before whatever comes next.
            stage.detached()
            if not self._open:
                return
            self._chain([kept for kept in self._stages if kept is not stage])
        known = {stage.toxic: stage for stage in self._stages}
        self._chain([known.get(toxic) or TOXIC_TYPES[toxic.type].stage(toxic, self) for toxic in striking])
        for stage in self._stages:
            if stage.toxic not in known:
                stage.attached()

    def _chain(self, stages: list[Stage[Any]]) -> None:
        self._stages = stages
        forward: Callable[[bytes], None] = self._leave
        forward_eof: Callable[[], None] = self._finish
        for stage in reversed(stages):
            stage.forward, stage.forward_eof = forward, forward_eof
            forward, forward_eof = stage.data, stage.eof
        self.feed = self._enter if stages else self._pass

    def _end_stream(self) -> None:
        if self._stages:
            self._stages[0].eof()
        elif self._open:
            self._finish()

    def _keep(self, chunk: bytes) -> None:
        self._early.append(chunk)
        self.pause(self)

    def _pass(self, chunk: bytes) -> None:
        self.flow.passed += len(chunk)
        self.sink.write(chunk)

    def _enter(self, chunk: bytes) -> None:
        self.flow.entered += len(chunk)
        self._stages[0].data(chunk)

    def _leave(self, chunk: bytes) -> None:
        self.flow.left += len(chunk)
        self.sink.write(chunk)

    def _finish(self) -> None:
        if self._ended_badly:
            self.connection.reset()
        elif self._cut:
            self.connection.close()
        else:
            self.connection.finished(self)


def _drop(_chunk: bytes) -> None:
    """Stands where a closed link's entrance was."""


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
        if self.transport is not None:
            self.transport.write_eof()

    def data_received(self, data: bytes) -> None:
        self._outgoing.feed(data)

    def eof_received(self) -> bool:
        self._outgoing.end()
        return True  # keep the other half open

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
        server: type[Endpoint] = Endpoint,
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
