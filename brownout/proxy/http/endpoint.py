"""The server's end of a link that carries HTTP/1.1: it knows of each byte which message it belongs to.

    client ──upstream link──▶ requests ──▶ server
           ◀──downstream link── responses ◀──
                                    ▲ or answers given here

Nothing is held back and nothing is changed unless somebody has joined who may want to: then each request from the next
one on is held until it is whole, shown to them, and goes on as it came, or is answered here and never goes on.
Whatever is no HTTP that it understands passes, from then on and for as long as the connection lasts.
"""

import asyncio

from brownout.proxy.connection import Endpoint
from brownout.proxy.http.framing import END, HEAD, NOTHING, Responses
from brownout.proxy.http.heads import is_stream
from brownout.proxy.http.holding import TO_HEAD, USUAL, Holding
from brownout.proxy.http.meddling import Meddler
from brownout.proxy.http.standing_in import FULL, StandIn


class HttpEndpoint(Endpoint):
    """The server's socket. `join` and `leave` are for stages of the link; it does not matter of which direction."""

    def _take(self, transport: asyncio.Transport) -> None:
        super()._take(transport)
        self._send = self.write
        self.write = self._from_client
        self._holding = Holding(incoming=self._incoming, outgoing=self._outgoing, send=self._to_server)
        self._meddlers = self._holding.meddlers
        self._requests = self._holding.requests
        self._asked = self._holding.asked
        self._responses = Responses()
        self._withheld: list[bytes] = []
        """What has come of a response's head that is being looked at."""
        self._stand_in = StandIn(self._outgoing, over=self._settle)
        self._inbox: list[bytes] = []
        self._outbox: list[bytes] = []
        """What client and server have sent meanwhile, and has to wait."""
        self._server_over = False
        self._eof_waits = False
        """The server has not been told yet that its client is over."""
        self._settling = False

    @property
    def idle(self) -> bool:
        """Whether every request has had its response."""
        begun = self._asked or self._holding.decided is not None or self._stand_in.player is not None
        return self._requests.between and not (begun or self._inbox)

    # Who meddles

    def join(self, meddler: Meddler) -> None:
        """From the next request on, show it each of them."""
        self._meddlers.append(meddler)

    def leave(self, meddler: Meddler) -> None:
        """Show it none any more, and bring to an end at once what it has begun."""
        self._holding.drop(meddler)
        if self._holding.forget(meddler):
            self._settle()
        else:
            self._stand_in.rush(meddler)

    def stop(self, meddler: Meddler) -> None:
        """The connection is over: do nothing on its behalf any more."""
        self._holding.drop(meddler)
        self._stand_in.stop(meddler)

    # From the client

    def write_eof(self) -> None:
        self._holding.let_go()
        if self._stand_in.client_is_over():
            # It has given up waiting: servers of HTTP take it so, though it might only have half closed.
            self._connection.close()
        elif self._busy or self._inbox:
            self._eof_waits = True
        else:
            super().write_eof()

    @property
    def _busy(self) -> bool:
        """Whether the client's next request has to wait."""
        stand_in = self._stand_in
        return self._holding.decided is not None or (stand_in.player is not None and stand_in.rewriting is None)

    def _from_client(self, data: bytes) -> None:
        if self._inbox or self._busy:
            self._wait(data)
            if sum(map(len, self._inbox)) > FULL:
                self._incoming.pause(self._requests)
        elif not self._meddlers and self._requests.is_whole(data):
            self._connection.counters.requests += 1
            self._asked.append(TO_HEAD if data.startswith(b"HEAD ") else USUAL)
            self._send(data)
        else:
            self._read_requests(data)
            if self._holding.decided is not None:
                self._settle()

    def _read_requests(self, data: bytes) -> None:
        if rest := self._holding.read(data):
            self._wait(rest)

    def _to_server(self, data: bytes) -> None:
        # Looked up each time: it is another one when the server has gone.
        self._send(data)

    def _wait(self, data: bytes) -> None:
        self._inbox.append(data)
        self._incoming.flow.kept += len(data)

    # From the server

    def data_received(self, data: bytes) -> None:
        if self._outgoing.ended:
            # An answer was cut, and its end may still be on the way to the client.
            return
        if self._stand_in.player is not None and self._stand_in.rewriting is None:
            self._outbox.append(data)
            if sum(map(len, self._outbox)) > FULL:
                self._outgoing.pause(self._responses)
        elif self._is_usual(data):
            self._asked.popleft()
            self._outgoing.feed(data)
        else:
            self._read_responses(data)
        if self._holding.decided is not None:
            self._settle()

    def _is_usual(self, data: bytes) -> bool:
        """Whether that is exactly one response, as it may pass."""
        if not self._asked or self._asked[0] is not USUAL:
            return False
        self._responses.to_head = False
        return self._responses.is_whole(data) and self._responses.status >= 200

    def eof_received(self) -> bool:
        if self._stand_in.player is None:
            return super().eof_received()
        self._server_is_over()
        return self.half_closes

    def connection_lost(self, exc: Exception | None) -> None:
        if self._stand_in.player is None or self._connection.over:
            super().connection_lost(exc)
            return
        # Its client does not hear of it before it has heard the rest.
        self.transport = None
        self._send = _nowhere
        self.pause_reading = self.resume_reading = _nothing
        self._server_is_over()
        self._connection.lost()

    def _server_is_over(self) -> None:
        self._server_over = True
        self._stand_in.server_is_over()

    def _read_responses(self, data: bytes) -> None:
        responses = self._responses
        start = done = 0
        while True:
            if responses.between:
                responses.to_head = bool(self._asked) and self._asked[0].to_head
            end, part = responses.advance(data, start)
            if self._stand_in.rewriting is not None or self._withheld or (self._asked and not self._asked[0].plain):
                if done < start:
                    self._outgoing.feed(data[done:start])
                done = end
                self._change(data, start, end, part)
                if self._connection.over:
                    return
            start = end
            if part == NOTHING:
                break
            if part == END:
                if responses.status >= 200:
                    self._response_over()
                if start < len(data) and self._spoken_for:
                    self._outbox.append(data[start:])
                    data = data[:start]
                if start == len(data):
                    break
        if responses.opaque:
            # Or another protocol from here on. What the client says is none of it that could be answered, either.
            self._holding.give_up()
        if done < len(data):
            self._outgoing.feed(data[done:] if done else data)

    def _response_over(self) -> None:
        self._stand_in.rewriting = None
        if self._asked:
            self._asked.popleft()

    @property
    def _spoken_for(self) -> bool:
        """Whether what the server says next has to wait."""
        return self._stand_in.player is not None or (self._holding.decided is not None and not self._asked)

    def _change(self, data: bytes, start: int, end: int, part: int) -> None:
        """A part of a response that may have to be changed."""
        asked, responses = self._asked[0], self._responses
        if self._stand_in.rewriting is not None:
            self._stand_in.take(self._stand_in.rewriting, data[responses.body_from : end], part)
            return
        self._withheld.append(data[start:end])
        if part == NOTHING and not responses.opaque:
            return
        head, self._withheld = b"".join(self._withheld), []
        if part == HEAD and responses.status == 100 and asked.told_to_continue:
            asked.told_to_continue = False
            return
        self._outgoing.feed(head)
        if part != HEAD or responses.status < 200:
            return
        broken, by = asked.broken, asked.by
        asked.broken, asked.by, asked.told_to_continue = None, None, False
        if broken and by and responses.chunked and is_stream(responses.head, broken.stream_type):
            self._stand_in.rewrite(broken, by)

    # What has waited

    def _settle(self) -> None:
        """Go on with it, as far as that goes."""
        if not self._settling:
            self._settling = True
            try:
                while not self._connection.over and self._stand_in.player is None and self._went_on():
                    pass
            finally:
                self._settling = False

    def _went_on(self) -> bool:
        decided = self._holding.decided
        if decided is not None and not self._asked:
            self._holding.decided = None
            self._incoming.flow.swallowed += decided.held.size
            self._stand_in.answer(decided)
        elif self._outbox:
            waiting, self._outbox = b"".join(self._outbox), []
            self._outgoing.resume(self._responses)
            self._read_responses(waiting)
        elif self._server_over:
            if self.transport is None:
                self._incoming.close()
            self._outgoing.end()
            return False
        elif decided is not None:
            return False
        elif self._inbox:
            waiting, self._inbox = b"".join(self._inbox), []
            self._incoming.flow.kept -= len(waiting)
            self._incoming.resume(self._requests)
            self._read_requests(waiting)
        else:
            if self._eof_waits:
                self._eof_waits = False
                super().write_eof()
            return False
        return True


def _nowhere(_data: bytes) -> None:
    """Writes to a server that has gone."""


def _nothing() -> None:
    """Steers the reading from one."""
