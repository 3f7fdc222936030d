"""What toxics have in common that let data through piece by piece."""

from abc import abstractmethod
from collections import deque
from typing import NamedTuple, TypeVar

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic

# Event loops wake late and read late. A line that was free for less than this was busy all the time; otherwise those
# moments would add up, and a rate would be missed. More than a loop on a busy machine needs, and so little that after
# a real pause nothing comes early.
_LATE_S = 0.02
# A line that an update finds standing still has that much to catch up on, not all the time that it stood.
_CATCH_UP_S = 0.1

A = TypeVar("A")


class Piece(NamedTuple):
    """The next bytes to go. Moments are on the scheduler's clock."""

    size: int
    due: float
    free_at: float
    """When the line is free for the piece after this one."""


class Paced(Stage[A]):
    """Sends what arrives on in pieces, each when it is due; meanwhile the sender is stopped, so that little is held."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._held: deque[bytes] = deque()
        self._sent = 0
        """How much of the first chunk held has gone."""
        self._ended = False
        """The end of the stream is held, behind the data."""
        self._free_at = float("-inf")
        self._timer: Timer | None = None

    @abstractmethod
    def next_piece(self, waiting: int, free_at: float) -> Piece | None:
        """How many of the `waiting` bytes in front go next, and when; None where nothing goes until an update."""

    def data(self, chunk: bytes) -> None:
        if not self._held:
            now = self.link.scheduler.now()
            if now - self._free_at > _LATE_S:
                self._free_at = now
        self._held.append(chunk)
        self.link.pause(self)
        if len(self._held) == 1:
            self._arm()

    def eof(self) -> None:
        if self._held:
            self._ended = True
        else:
            self.forward_eof()

    def updated(self) -> None:
        if self._held:
            self._free_at = max(self._free_at, self.link.scheduler.now() - _CATCH_UP_S)
            self._arm()

    def detached(self) -> None:
        self._stop_timer()
        while self._held:
            self._go(len(self._held[0]) - self._sent)
        self._finish()

    def closed(self) -> None:
        self._stop_timer()
        self._held.clear()
        self._ended = False

    def _arm(self) -> None:
        self._stop_timer()
        piece = self.next_piece(len(self._held[0]) - self._sent, self._free_at)
        if piece is not None:
            self._timer = self.link.scheduler.call_at(piece.due, lambda: self._wake(piece))

    def _wake(self, piece: Piece) -> None:
        self._timer = None
        self._free_at = piece.free_at
        self._go(piece.size)
        if self._held:
            self._arm()
        else:
            self._finish()

    def _go(self, size: int) -> None:
        chunk, start = self._held[0], self._sent
        self._sent += size
        if self._sent == len(chunk):
            self._held.popleft()
            self._sent = 0
        self.forward(chunk[start : start + size])

    def _finish(self) -> None:
        self.link.resume(self)
        if self._ended:
            self._ended = False
            self.forward_eof()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
