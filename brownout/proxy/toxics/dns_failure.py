"""The name of a link does not resolve, or not to where it should."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic, register

ANSWERS = ("nxdomain", "servfail", "timeout", "refused", "wrong_address", "slow")


@dataclass(frozen=True, slots=True, kw_only=True)
class DnsFailureAttributes:
    """What is answered to a query for the name. Not known to Toxiproxy, which resolves no names."""

    answer: str = "nxdomain"
    """`nxdomain`, `servfail` and `refused` are the DNS's own; `timeout` is no answer; `wrong_address` an address where
    nothing listens; `slow` the right one."""
    delay: int = 0
    """Milliseconds by which it comes late."""
    drain: bool = False
    """Connections are closed as soon as no request is under way on them, on links that carry HTTP: a client that keeps
    its connections would otherwise not ask for the name."""

    def __post_init__(self) -> None:
        if self.answer not in ANSWERS:
            msg = f"attribute 'answer' can be: {', '.join(ANSWERS)}"
            raise ValueError(msg)
        if self.answer == "slow" and not self.delay:
            msg = "a slow answer needs a delay"
            raise ValueError(msg)
        if self.answer == "timeout" and self.delay:
            msg = "what never comes has no delay"
            raise ValueError(msg)


@register("dns_failure", DnsFailureAttributes, named=True)
class DnsFailure(Stage[DnsFailureAttributes]):
    """The DNS responder looks for it (`brownout.proxy.dns.names`). Connections it drains, at most: on downstream."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._timer: Timer | None = None

    def attached(self) -> None:
        # A new connection is idle because its first request is still on the way.
        if self.link.connection.established:
            self._look_soon()

    def data(self, chunk: bytes) -> None:
        self.forward(chunk)
        self._look_soon()

    def updated(self) -> None:
        self._look_soon()

    def detached(self) -> None:
        self.closed()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look_soon(self) -> None:
        # Not now: whether an answer is over is known once its last piece has gone by.
        if self.attributes.drain and self._timer is None:
            self._timer = self.link.scheduler.call_at(self.link.scheduler.now(), self._look)

    def _look(self) -> None:
        self._timer = None
        connection = self.link.connection
        if self.attributes.drain and connection.server.idle:
            self.link.counters.drained_connections += 1
            connection.close()
