"""The server's end of a link that carries HTTP/1.1: it knows of each byte which message it belongs to.

    client ──upstream link──▶ requests ──▶ server
           ◀──downstream link── responses ◀──
                                    ▲ or answers given here

Nothing is held back and nothing is changed unless somebody has joined who may want to: then each request from the next
one on is held until it is whole, shown to them, and goes on as it came, or is answered here and never goes on.
Whatever is no HTTP that it understands passes, from then on and for as long as the connection lasts.
"""

import asyncio
from collections import deque

from brownout.dialect.answer import Cut
from brownout.dialect.live import LiveStream
from brownout.proxy.http.framing import DATA, END, HEAD, NOTHING, Requests, Responses
from brownout.proxy.http.heads import Request, is_stream
from brownout.proxy.http.meddling import Answered, Asked, Held, Meddler
from brownout.proxy.http.playing import Player
from brownout.proxy.http.rewriting import Rewriting
from brownout.proxy.link import Endpoint

HELD_LIMIT = 16 * 2**20
"""Bytes of a request; one that has more goes on unseen."""
_FULL = 2**16
"""Bytes that wait for their turn, and at which the side that sends them is stopped."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


_USUAL, _TO_HEAD = Asked(to_head=False), Asked(to_head=True)


class HttpEndpoint(Endpoint):
    """The server's socket. `join` and `leave` are for stages of the link; it does not matter of which direction."""

    def _take(self, transport: asyncio.Transport) -> None:
        super()._take(transport)
        self._requests = Requests()
        self._responses = Responses()
        self._meddlers: list[Meddler] = []
        self._asked: deque[Asked] = deque()
        """Requests whose responses are not over, the oldest first."""
        self._held: Held | None = None
        """The request that is being looked at."""
        self._withheld: list[bytes] = []
        """What has come of a response's head that is being looked at."""
        self._next: Answered | None = None
        """An answer that waits for the responses before it."""
        self._player: Player | None = None
        """Writes to the client in the server's place."""
        self._by: Meddler | None = None
        """On whose behalf."""
        self._rewriting: Rewriting | None = None
        """What the player plays is made of what the server sends; None where it needs nothing more of that."""
        self._inbox: list[bytes] = []
        self._outbox: list[bytes] = []
        """What client and server have sent meanwhile, and has to wait."""
        self._client_over = self._server_over = False
        self._eof_waits = False
        """The server has not been told yet that its client is over."""
        self._settling = False
        self._send = self.write
        self.write = self._from_client

    @property
    def idle(self) -> bool:
        """Whether every request has had its response."""
        return self._requests.between and not (self._asked or self._next or self._player or self._inbox)

    # Who meddles

    def join(self, meddler: Meddler) -> None:
        """From the next request on, show it each of them."""
        self._meddlers.append(meddler)

    def leave(self, meddler: Meddler) -> None:
        """Show it none any more, and bring to an end at once what it has begun."""
        self._drop(meddler)
        for asked in self._asked:
            if asked.by is meddler:
                asked.broken = asked.by = None
        if not self._meddlers:
            self._let_go()
        if self._next is not None and self._next.by is meddler:
            self._held, self._next = self._next.held, None
            self._let_go()
            self._settle()
        elif self._by is meddler and self._player is not None:
            if self._rewriting is not None:
                self._rewriting.release()
            self._player.rush()

    def stop(self, meddler: Meddler) -> None:
        """The connection is over: do nothing on its behalf any more."""
        self._drop(meddler)
        if self._by is meddler and self._player is not None:
            self._player.stop()

    def _drop(self, meddler: Meddler) -> None:
        if meddler in self._meddlers:
            self._meddlers.remove(meddler)

    # From the client

    def write_eof(self) -> None:
        self._client_over = True
        self._let_go()
        if self._player is not None and (self._player.hanging or self._rewriting is None):
            # It has given up waiting: servers of HTTP take it so, though it might only have half closed.
            self._connection.close()
        elif self._busy or self._inbox:
            self._eof_waits = True
        else:
            super().write_eof()

    @property
    def _busy(self) -> bool:
        """Whether the client's next request has to wait."""
        return self._next is not None or (self._player is not None and self._rewriting is None)

    def _from_client(self, data: bytes) -> None:
        if self._inbox or self._busy:
            self._inbox.append(data)
            self._incoming.flow.kept += len(data)
            if sum(map(len, self._inbox)) > _FULL:
                self._incoming.pause(self._requests)
        elif not self._meddlers and self._requests.is_whole(data):
            self._connection.counters.requests += 1
            self._asked.append(_TO_HEAD if data.startswith(b"HEAD ") else _USUAL)
            self._send(data)
        else:
            self._read_requests(data)
            if self._next is not None:
                self._settle()

    def _read_requests(self, data: bytes) -> None:
        requests = self._requests
        start = done = 0
        while True:
            if self._meddlers and start < len(data) and requests.between:
                if self._next is not None:
                    self._inbox.append(data[start:])
                    self._incoming.flow.kept += len(data) - start
                    return
                if done < start:
                    self._send(data[done:start])
                done = start
                self._held = Held()
            end, part = requests.advance(data, start)
            if part == HEAD:
                self._connection.counters.requests += 1
                if self._held is None:
                    self._asked.append(_TO_HEAD if requests.head.startswith(b"HEAD ") else _USUAL)
                elif not self._worth_holding(self._held, requests.head):
                    self._let_go()
            elif self._held is not None and part == DATA:
                self._held.body.append(data[requests.body_from : end])
            elif self._held is not None and part == END:
                self._keep(self._held, data[done:end])
                done = end
                self._decide(self._held)
            start = end
            if part == NOTHING or (part == END and start == len(data)):
                break
        if self._held is not None:
            self._keep(self._held, data[done:])
            self._consider(self._held)
        elif done < len(data):
            self._send(data[done:] if done else data)

    def _keep(self, held: Held, piece: bytes) -> None:
        held.add(piece)
        self._incoming.flow.kept += len(piece)

    def _worth_holding(self, held: Held, head: bytes) -> bool:
        request = held.request = Request.parse(head)
        # What asks for another protocol must reach the server, and a response to HEAD has no body to be broken.
        usual = request.version == "HTTP/1.1" and request.method != "HEAD" and not request.values("upgrade")
        return usual and any(meddler.concerned(request) for meddler in self._meddlers)

    def _consider(self, held: Held) -> None:
        """It is not whole: whether it is still worth holding."""
        if self._requests.opaque or held.size > HELD_LIMIT:
            self._let_go()
        elif held.request is not None and held.request.expects_continue and not held.told_to_continue:
            # The body comes when somebody asks for it, which nobody else will. Not in front of other responses, though.
            if self._asked:
                self._let_go()
            else:
                held.told_to_continue = True
                self._outgoing.feed(_CONTINUE)

    def _decide(self, held: Held) -> None:
        """It is whole."""
        request = held.whole()
        for meddler in self._meddlers:
            decided = meddler.decide(request)
            if isinstance(decided, LiveStream):
                self._let_go(broken=decided, by=meddler)
                return
            if decided is not None:
                self._held = None
                self._next = Answered(held, decided, meddler)
                return
        self._let_go()

    def _let_go(self, *, broken: LiveStream | None = None, by: Meddler | None = None) -> None:
        """The request that is held goes on as it came, and so will what is still to come of it."""
        held, self._held = self._held, None
        if held is not None:
            if held.request is not None:
                self._asked.append(Asked(held.request.method == "HEAD", held.told_to_continue, broken, by))
            self._incoming.flow.kept -= held.size
            if held.size:
                self._send(held.raw())

    # From the server

    def data_received(self, data: bytes) -> None:
        if self._outgoing.ended:
            # An answer was cut, and its end may still be on the way to the client.
            return
        if self._player is not None and self._rewriting is None:
            self._outbox.append(data)
            if sum(map(len, self._outbox)) > _FULL:
                self._outgoing.pause(self._responses)
        elif self._is_usual(data):
            self._asked.popleft()
            self._outgoing.feed(data)
        else:
            self._read_responses(data)
        if self._next is not None:
            self._settle()

    def _is_usual(self, data: bytes) -> bool:
        """Whether that is exactly one response, as it may pass."""
        if not self._asked or self._asked[0] is not _USUAL:
            return False
        self._responses.to_head = False
        return self._responses.is_whole(data) and self._responses.status >= 200

    def eof_received(self) -> bool:
        if self._player is None:
            return super().eof_received()
        self._server_is_over()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        if self._player is None or self._connection.over:
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
        if self._player is not None and self._rewriting is not None:
            cut_short, self._rewriting = self._rewriting, None
            cut_short.cut_short()

    def _read_responses(self, data: bytes) -> None:
        responses = self._responses
        start = done = 0
        while True:
            if responses.between:
                responses.to_head = bool(self._asked) and self._asked[0].to_head
            end, part = responses.advance(data, start)
            if self._rewriting is not None or self._withheld or (self._asked and not self._asked[0].plain):
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
            self._requests.give_up()
            self._let_go()
        if done < len(data):
            self._outgoing.feed(data[done:] if done else data)

    def _response_over(self) -> None:
        self._rewriting = None
        if self._asked:
            self._asked.popleft()

    @property
    def _spoken_for(self) -> bool:
        """Whether what the server says next has to wait."""
        return self._player is not None or (self._next is not None and not self._asked)

    def _change(self, data: bytes, start: int, end: int, part: int) -> None:
        """A part of a response that may have to be changed."""
        asked, responses = self._asked[0], self._responses
        if self._rewriting is not None:
            self._rewrite(self._rewriting, data[responses.body_from : end], part)
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
            self._by = by
            self._player = self._new_player()
            self._rewriting = Rewriting(broken, by, self._player)

    def _rewrite(self, rewriting: Rewriting, piece: bytes, part: int) -> None:
        if part == END:
            rewriting.end()
        elif part == DATA:
            rewriting.data(piece)
        if self._player is not None and self._player.waiting_bytes > _FULL:
            self._outgoing.pause(self._player)

    # In the server's place

    def _settle(self) -> None:
        """Go on with whatever has waited, as far as that goes."""
        if not self._settling:
            self._settling = True
            try:
                while not self._connection.over and self._player is None and self._went_on():
                    pass
            finally:
                self._settling = False

    def _went_on(self) -> bool:
        if self._next is not None and not self._asked:
            self._answer(self._next)
        elif self._outbox:
            waiting, self._outbox = b"".join(self._outbox), []
            self._outgoing.resume(self._responses)
            self._read_responses(waiting)
        elif self._server_over:
            if self.transport is None:
                self._incoming.close()
            self._outgoing.end()
            return False
        elif self._next is not None:
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

    def _answer(self, answered: Answered) -> None:
        self._next = None
        self._by = answered.by
        self._by.failed()
        self._incoming.flow.swallowed += answered.held.size
        player = self._player = self._new_player()
        player.add(answered.steps)
        if answered.held.whole().closes:
            player.add([Cut()])
        player.finish()

    def _new_player(self) -> Player:
        return Player(self._connection.scheduler, write=self._play, hung=self._hung, over=self._played)

    def _play(self, data: bytes) -> None:
        self._outgoing.feed(data)
        if self._player is not None and self._player.waiting_bytes <= _FULL:
            self._outgoing.resume(self._player)

    def _hung(self) -> None:
        if self._client_over:
            self._connection.close()

    def _played(self, cut: bool) -> None:
        if self._player is not None:
            self._outgoing.resume(self._player)
        self._player = self._by = None
        if cut:
            self._outgoing.cut()
            self._outgoing.end()
        else:
            self._settle()


def _nowhere(_data: bytes) -> None:
    """Writes to a server that has gone."""


def _nothing() -> None:
    """Steers the reading from one."""
