"""An answer is cut off."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.toxic import Stage, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitDataAttributes:
    """A connection is closed once it has carried `bytes` in this direction."""

    bytes: int = 0
    """Counted since the toxic met the connection. At 0 the first data closes it."""


@register("limit_data", LimitDataAttributes)
class LimitData(Stage[LimitDataAttributes]):
    """Passes data on up to the limit, then closes the connection, in an orderly way and at both ends."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._passed = 0
        self._cut = False

    def data(self, chunk: bytes) -> None:
        left = 0 if self._cut else max(0, self.attributes.bytes - self._passed)
        self._passed += len(chunk)
        self.link.flow.swallowed += max(0, len(chunk) - left)
        if left:
            self.forward(chunk[:left])
        if len(chunk) >= left and not self._cut:
            self._cut = True
            self.link.counters.truncated_connections += 1
            self.link.cut()
            self.forward_eof()

    def eof(self) -> None:
        if not self._cut:
            self.forward_eof()
