"""The way of requests to the server. One that somebody may want to meddle with is held on it until it is whole."""

from collections import deque
from collections.abc import Callable

from brownout.dialect.live import LiveStream
from brownout.proxy.http.framing import DATA, END, HEAD, NOTHING, Requests
from brownout.proxy.http.heads import Request
from brownout.proxy.http.meddling import Answered, Asked, Held, Meddler
from brownout.proxy.link import Link

HELD_LIMIT = 16 * 2**20
"""Bytes of a request; one that has more goes on unseen."""
USUAL, TO_HEAD = Asked(to_head=False), Asked(to_head=True)
"""Requests that nobody looks at; there are so many of them that they share an object."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Holding:
    """Reads what the client says, and has the meddlers decide. With none of them, everything passes at once."""

    def __init__(self, *, incoming: Link, outgoing: Link, send: Callable[[bytes], None]) -> None:
        """`incoming` brings the requests, `outgoing` is the link to the client, and `send` writes to the server."""
        self._flow = incoming.flow
        self._counters = incoming.counters
        self._answer = outgoing
        self._send = send
        self.requests = Requests()
        self.meddlers: list[Meddler] = []
        self.asked: deque[Asked] = deque()
        """Requests that went on, whose responses are not over, the oldest first."""
        self.decided: Answered | None = None
        """One that does not go on, and whose answer waits for the responses before it."""
        self._held: Held | None = None
        """The request that is being looked at."""

    def drop(self, meddler: Meddler) -> None:
        """Show it nothing any more."""
        if meddler in self.meddlers:
            self.meddlers.remove(meddler)

    def forget(self, meddler: Meddler) -> bool:
        """Undo what it has decided and what has not begun; whether an answer of it was waiting."""
        for asked in self.asked:
            if asked.by is meddler:
                asked.broken = asked.by = None
        if not self.meddlers:
            self.let_go()
        if self.decided is None or self.decided.by is not meddler:
            return False
        self._held, self.decided = self.decided.held, None
        self.let_go()
        return True

    def read(self, data: bytes) -> bytes:
        """Pass it on or hold it. What comes after a request that is to be answered here is given back."""
        requests = self.requests
        start = done = 0
        while True:
            if self.meddlers and start < len(data) and requests.between:
                if self.decided is not None:
                    return data[start:]
                if done < start:
                    self._send(data[done:start])
                done = start
                self._held = Held()
            end, part = requests.advance(data, start)
            if part == HEAD:
                self._counters.requests += 1
                if self._held is None:
                    self.asked.append(TO_HEAD if requests.head.startswith(b"HEAD ") else USUAL)
                elif not self._worth_holding(self._held, requests.head):
                    self.let_go()
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
        return b""

    def let_go(self, *, broken: LiveStream | None = None, by: Meddler | None = None) -> None:
        """The request that is held goes on as it came, and so will what is still to come of it."""
        held, self._held = self._held, None
        if held is not None:
            if held.request is not None:
                self.asked.append(Asked(held.request.method == "HEAD", held.told_to_continue, broken, by))
            self._flow.kept -= held.size
            if held.size:
                self._send(held.raw())

    def give_up(self) -> None:
        """What the client says from here on is nothing that could be answered."""
        self.requests.give_up()
        self.let_go()

    def _keep(self, held: Held, piece: bytes) -> None:
        held.add(piece)
        self._flow.kept += len(piece)

    def _worth_holding(self, held: Held, head: bytes) -> bool:
        request = held.request = Request.parse(head)
        # What asks for another protocol must reach the server, and a response to HEAD has no body to be broken.
        usual = request.version == "HTTP/1.1" and request.method != "HEAD" and not request.values("upgrade")
        return usual and any(meddler.concerned(request) for meddler in self.meddlers)

    def _consider(self, held: Held) -> None:
        """It is not whole: whether it is still worth holding."""
        if self.requests.opaque or held.size > HELD_LIMIT:
            self.let_go()
        elif held.request is not None and held.request.expects_continue and not held.told_to_continue:
            # The body comes when somebody asks for it, which nobody else will. Not in front of other responses, though.
            if self.asked:
                self.let_go()
            else:
                held.told_to_continue = True
                self._answer.feed(_CONTINUE)

    def _decide(self, held: Held) -> None:
        """It is whole."""
        request = held.whole()
        for meddler in self.meddlers:
            decided = meddler.decide(request)
            if isinstance(decided, LiveStream):
                self.let_go(broken=decided, by=meddler)
                return
            if decided is not None:
                self._held = None
                self.decided = Answered(held, decided, meddler)
                return
        self.let_go()
