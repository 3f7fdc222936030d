"""Nothing gets through, and nobody is told: a blackhole."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Stream, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeoutAttributes:
    """Data is swallowed; the connection is closed after `timeout`, or never where that is 0."""

    timeout: int = 0
    """Milliseconds since the toxic met the connection."""


@register("timeout", TimeoutAttributes)
class Timeout(Stage[TimeoutAttributes]):
    """Swallows data. On removal, a connection that has lost some is closed: its streams no longer make sense."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._swallowed = False
        self._timer: Timer | None = None

    def attached(self) -> None:
        timeout_ms = self.attributes.timeout
        if timeout_ms:
            due = self.link.scheduler.now() + timeout_ms / 1000
            self._timer = self.link.scheduler.call_at(due, self.link.connection.close)

    def data(self, chunk: bytes) -> None:
        self._swallowed = True
        self.link.flow.swallowed += len(chunk)

    def eof(self) -> None:
        # A client must not learn through the blackhole that its server has hung up. The server does learn that its
        # client has (as with Toxiproxy): else every client that gives up would pin one of the server's connections,
        # and the fault would spread to whoever else uses that server.
        if self.link.stream is Stream.UPSTREAM or self.link.opposite.ended:
            self.forward_eof()
        else:
            self._swallowed = True

    def updated(self) -> None:
        self.closed()
        self.attached()

    def detached(self) -> None:
        self.closed()
        if self._swallowed:
            self.link.connection.close()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
