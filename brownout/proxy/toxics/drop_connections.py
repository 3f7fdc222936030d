"""Some connections fail, and the next one works."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class DropConnectionsAttributes:
    """New connections are counted, from 1. Not known to Toxiproxy, whose users ask for it (its issue 404)."""

    first: int = 0
    """So many are dropped at the beginning."""
    every: int = 0
    """And of all of them every one whose number this divides; 0 for none."""
    established: bool = False
    """Those that were there before the toxic are reset too, without being counted: a client that keeps its connections
    would otherwise make no new one."""


@register("drop_connections", DropConnectionsAttributes)
class DropConnections(Stage[DropConnectionsAttributes]):
    """Resets a connection as soon as it is made."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._doomed = False
        self._timer: Timer | None = None

    def attached(self) -> None:
        established, counters = self.link.connection.established, self.link.counters
        self._doomed = self.attributes.established if established else self._turn()
        if self._doomed:
            counters.resets += established
            counters.dropped_connections += not established
            self._timer = self.link.scheduler.call_at(self.link.scheduler.now(), self.link.connection.reset)

    def data(self, chunk: bytes) -> None:
        if self._doomed:
            self.link.flow.swallowed += len(chunk)
        else:
            self.forward(chunk)

    def eof(self) -> None:
        if not self._doomed:
            self.forward_eof()

    def detached(self) -> None:
        if self._doomed:
            self.link.connection.reset()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _turn(self) -> bool:
        self.toxic.connections_met += 1
        number, attributes = self.toxic.connections_met, self.attributes
        return number <= attributes.first or (attributes.every > 0 and number % attributes.every == 0)
