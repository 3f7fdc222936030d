"""Who writes to the client in the server's place: an answer made here, or what is made of the server's own."""

from collections.abc import Callable

from brownout.dialect.answer import Cut
from brownout.dialect.live import LiveStream
from brownout.proxy.http.framing import DATA, END
from brownout.proxy.http.meddling import Answered, Meddler
from brownout.proxy.http.playing import Player
from brownout.proxy.http.rewriting import Rewriting
from brownout.proxy.link import Link

FULL = 2**16
"""Bytes that wait for their turn, and at which the side that sends them is stopped."""


class StandIn:
    """Plays one answer at a time."""

    def __init__(self, outgoing: Link, *, over: Callable[[], None]) -> None:
        """`outgoing` is the link to the client; `over` is called after each answer that ended as it should."""
        self._outgoing = outgoing
        self._over = over
        self.player: Player | None = None
        self.rewriting: Rewriting | None = None
        """What the player plays is made of what the server sends; None where it needs nothing more of that."""
        self._by: Meddler | None = None
        """On whose behalf."""
        self._client_over = False

    def answer(self, answered: Answered) -> None:
        """Answer a request that did not go on to the server."""
        answered.by.failed()
        player = self._begin(answered.by)
        player.add(answered.steps)
        if answered.held.whole().closes:
            player.add([Cut()])
        player.finish()

    def rewrite(self, stream: LiveStream, by: Meddler) -> None:
        """Play what that makes of the body of a response, in chunked coding, that has just begun."""
        self.rewriting = Rewriting(stream, by, self._begin(by))

    def take(self, rewriting: Rewriting, piece: bytes, part: int) -> None:
        """A part of that response: a piece of the body without its coding, or its end."""
        if part == END:
            rewriting.end()
        elif part == DATA:
            rewriting.data(piece)
        if self.player is not None and self.player.waiting_bytes > FULL:
            self._outgoing.pause(self.player)

    def client_is_over(self) -> bool:
        """The client sends nothing any more. Whether what is left to play is nothing that it would wait for."""
        self._client_over = True
        return self.player is not None and (self.player.hanging or self.rewriting is None)

    def server_is_over(self) -> None:
        """The server sends nothing any more."""
        if self.player is not None and self.rewriting is not None:
            cut_short, self.rewriting = self.rewriting, None
            cut_short.cut_short()

    def rush(self, meddler: Meddler) -> None:
        """Bring to an end at once what is played on its behalf."""
        if self._by is meddler and self.player is not None:
            player = self.player
            if self.rewriting is not None:
                self.rewriting.release()
            player.rush()

    def stop(self, meddler: Meddler) -> None:
        """Play nothing any more on its behalf."""
        if self._by is meddler and self.player is not None:
            self.player.stop()

    def _begin(self, by: Meddler) -> Player:
        self._by = by
        scheduler = self._outgoing.scheduler
        player = self.player = Player(scheduler, write=self._write, hung=self._hung, over=self._played)
        return player

    def _write(self, data: bytes) -> None:
        self._outgoing.feed(data)
        if self.player is not None and self.player.waiting_bytes <= FULL:
            self._outgoing.resume(self.player)

    def _hung(self) -> None:
        if self._client_over:
            self._outgoing.connection.close()

    def _played(self, cut: bool) -> None:
        if self.player is not None:
            self._outgoing.resume(self.player)
        self.player = self._by = None
        if cut:
            self._outgoing.cut()
            self._outgoing.end()
        else:
            self._over()
