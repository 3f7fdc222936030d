"""Bits flip on the way."""

import math
from dataclasses import dataclass
from random import Random

from brownout.proxy.link import Link
from brownout.proxy.toxic import Stage, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class CorruptAttributes:
    """In `share` of all bytes one bit is flipped. Not known to Toxiproxy, whose users ask for it (its issue 451)."""

    share: float = 0.0
    """0.0 to 1.0."""
    seed: int = 0
    """With a seed the same bits flip in every connection, and in every run; at 0 chance is the proxy's."""

    def __post_init__(self) -> None:
        if self.share > 1:
            msg = "attribute 'share' must be between 0 and 1"
            raise ValueError(msg)


@register("corrupt", CorruptAttributes)
class Corrupt(Stage[CorruptAttributes]):
    """Flips one bit of a byte now and then, wherever a chunk begins or ends: TCP will vouch for the wrong byte."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._rng = Random(self.attributes.seed) if self.attributes.seed else link.rng  # noqa: S311 - chance
        self._spared = self._draw()
        """How many bytes pass before the next one that does not."""

    def data(self, chunk: bytes) -> None:
        if self._spared < len(chunk):
            damaged = bytearray(chunk)
            while self._spared < len(chunk):
                damaged[int(self._spared)] ^= 1 << self._rng.randrange(8)
                self._spared += 1 + self._draw()
                self.link.counters.corrupted_bytes += 1
            self._spared -= len(chunk)
            self.forward(bytes(damaged))
        else:
            self._spared -= len(chunk)
            self.forward(chunk)

    def updated(self) -> None:
        self._spared = self._draw()

    def _draw(self) -> float:
        # The gap between two hits, where each byte is hit with the same probability, is distributed geometrically;
        # drawing it spares drawing for every byte.
        share = self.attributes.share
        if share in (0.0, 1.0):
            return 0 if share else math.inf
        return math.floor(math.log(1 - self._rng.random()) / math.log1p(-share))
