"""Data arrives in small pieces."""

from dataclasses import dataclass

from brownout.proxy.pacing import Paced, Piece
from brownout.proxy.toxic import register


@dataclass(frozen=True, slots=True, kw_only=True)
class SlicerAttributes:
    """Slices of `average_size` ± `size_variation`, evenly spread, with a pause of `delay` after each."""

    average_size: int = 0
    """Bytes. A slice has one at least, so that at 0 every byte comes on its own."""
    size_variation: int = 0
    """Bytes."""
    delay: int = 0
    """Microseconds."""


@register("slicer", SlicerAttributes)
class Slicer(Paced[SlicerAttributes]):
    """Cuts every chunk up: whoever takes one `recv` for one message is found out.

    Even without a pause each slice is written by itself, in its own turn of the event loop, which would otherwise put
    them together again.
    """

    def data(self, chunk: bytes) -> None:
        if len(chunk) > max(1, self.attributes.average_size + self.attributes.size_variation):
            self.link.counters.sliced_chunks += 1
        super().data(chunk)

    def next_piece(self, waiting: int, free_at: float) -> Piece:
        attributes = self.attributes
        size = attributes.average_size
        if attributes.size_variation:
            size = self.link.rng.randint(size - attributes.size_variation, size + attributes.size_variation)
        return Piece(min(waiting, max(1, size)), free_at, free_at + attributes.delay / 1e6)
