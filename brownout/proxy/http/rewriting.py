"""A streamed response that is broken on its way to the client."""

from brownout.dialect.answer import Chunk
from brownout.dialect.live import LiveStream
from brownout.dialect.wire import LAST_CHUNK
from brownout.proxy.http.meddling import Meddler
from brownout.proxy.http.playing import Player, framed


class Rewriting:
    """Takes the body off a response in chunked coding, and hands what is made of it to a player."""

    def __init__(self, stream: LiveStream, by: Meddler, player: Player) -> None:
        self._stream = stream
        self._by = by
        self._player = player
        self._told = False

    def data(self, piece: bytes) -> None:
        """A piece of the body, without its coding."""
        self._player.add(framed(self._stream.feed(piece)))
        self._tell()

    def end(self) -> None:
        """The response is whole."""
        self._player.add(framed(self._stream.end()))
        self._tell()
        self._player.add([Chunk(LAST_CHUNK)])
        self._player.finish()

    def cut_short(self) -> None:
        """The server has gone in the middle of it."""
        self._player.add(framed(self._stream.end()))
        self._player.finish()

    def release(self) -> None:
        """Break nothing any more."""
        self._player.add(framed(self._stream.release()))

    def _tell(self) -> None:
        if self._stream.struck and not self._told:
            self._told = True
            self._by.failed()
