"""A narrow line."""

from dataclasses import dataclass

from brownout.proxy.pacing import Paced, Piece
from brownout.proxy.toxic import register

# The longest that a piece takes on the line: at a low rate data trickles, as it would, and does not come in gulps.
# The figure is Toxiproxy's.
_PIECE_MS = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class BandwidthAttributes:
    """Each connection gets `rate`, in this direction."""

    rate: int = 0
    """Kilobytes (1000 bytes) a second, which is bytes a millisecond. At 0 nothing passes, as with Toxiproxy."""


@register("bandwidth", BandwidthAttributes)
class Bandwidth(Paced[BandwidthAttributes]):
    """Lets a piece go once a line of that rate would have carried it; a sender that is faster is stopped meanwhile."""

    def data(self, chunk: bytes) -> None:
        self.link.counters.throttled_bytes += len(chunk)
        super().data(chunk)

    def next_piece(self, waiting: int, free_at: float) -> Piece | None:
        rate = self.attributes.rate
        if not rate:
            return None
        size = min(waiting, rate * _PIECE_MS)
        due = free_at + size / (rate * 1000)
        return Piece(size, due, due)
