"""Connection reset by peer."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class ResetPeerAttributes:
    """Both ends get a TCP RST after `timeout`; until then the direction stands still."""

    timeout: int = 0
    """Milliseconds since the toxic met the connection."""


@register("reset_peer", ResetPeerAttributes)
class ResetPeer(Stage[ResetPeerAttributes]):
    """Holds data back until the reset; gives it back if it is removed before.

    Unlike Toxiproxy, which waits for the first byte and sends established connections a FIN, an idle or established
    connection is reset too: that is what a crashed peer or a restarted load balancer does to a connection pool.
    """

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._held: list[bytes] = []
        self._ended = False
        self._timer: Timer | None = None

    def attached(self) -> None:
        self.link.pause(self)
        due = self.link.scheduler.now() + self.attributes.timeout / 1000
        self._timer = self.link.scheduler.call_at(due, self._reset)

    def data(self, chunk: bytes) -> None:
        self._held.append(chunk)

    def eof(self) -> None:
        self._ended = True

    def updated(self) -> None:
        self._stop_timer()
        self.attached()

    def detached(self) -> None:
        self._stop_timer()
        for chunk in self._held:
            self.forward(chunk)
        if self._ended:
            self.forward_eof()
        self.link.resume(self)

    def closed(self) -> None:
        self._stop_timer()
        self._held.clear()

    def _reset(self) -> None:
        self.link.counters.resets += 1
        self.link.connection.reset()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
