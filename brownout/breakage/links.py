"""What happens to the connections of a link, or keeps them from being made."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from brownout.breakage.model import Breakage

Direction = Literal["both", "to", "from"]
Course = Literal["steady", "ramp", "square", "random"]
"""How strong something is in the course of time."""


@dataclass(frozen=True, slots=True)
class Blackhole(Breakage):
    """Connections are accepted; whatever is sent is dropped, and nothing ever comes back."""

    kind: ClassVar[str] = "link.blackhole"
    direction: Direction = "both"
    """One way: `to` the destination or `from` it; the other way data still flows."""
    cycle: float = 0.0
    """The link comes and goes: broken for the first half of each cycle, whole for the second. At 0 it is all broken."""

    @property
    def capability(self) -> str:
        if self.cycle:
            return f"{self.kind}.cycle"
        return self.kind if self.direction == "both" else f"{self.kind}.one-way"


@dataclass(frozen=True, slots=True)
class Reset(Breakage):
    """Connections, those already open included, are answered with a TCP RST."""

    kind: ClassVar[str] = "link.reset"
    cycle: float = 0.0
    """As for a `Blackhole`."""

    @property
    def capability(self) -> str:
        return f"{self.kind}.cycle" if self.cycle else self.kind


@dataclass(frozen=True, slots=True)
class Delay(Breakage):
    """Every chunk is held for `latency ± jitter` before it is passed on, in the direction of the answers."""

    kind: ClassVar[str] = "link.delay"
    latency: float
    jitter: float = 0.0
    course: Course = "steady"
    """`ramp`: the latency grows from 0 in one period; `square`: it is on for half a period and off for the other half;
    `random`: it is drawn evenly from between 0 and `latency`, anew for each period."""
    period: float = 0.0
    seed: int = 0
    """Of a random course."""

    @property
    def capability(self) -> str:
        return self.kind if self.course == "steady" else f"{self.kind}.{self.course}"


@dataclass(frozen=True, slots=True)
class Throttle(Breakage):
    """Each connection gets `rate` bytes per second in each direction."""

    kind: ClassVar[str] = "link.throttle"
    rate: float


@dataclass(frozen=True, slots=True)
class SlowClose(Breakage):
    """That one side has closed a connection is told to the other side after `delay`."""

    kind: ClassVar[str] = "link.slow_close"
    delay: float


@dataclass(frozen=True, slots=True)
class Slice(Breakage):
    """Answers arrive in pieces of `size ± variation` bytes, with a pause of `delay` after each."""

    kind: ClassVar[str] = "link.slice"
    size: int
    variation: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Truncate(Breakage):
    """A connection is closed once it has carried `after` bytes of answers."""

    kind: ClassVar[str] = "link.truncate"
    after: int


@dataclass(frozen=True, slots=True)
class Corrupt(Breakage):
    """In a share of all bytes of answers, 0.0 to 1.0, one bit is flipped."""

    kind: ClassVar[str] = "link.corrupt"
    share: float
    seed: int | None = None
    """With a seed the same bits flip in every connection; without one, chance is the target's."""


@dataclass(frozen=True, slots=True)
class DropConnections(Breakage):
    """Open connections are reset; of the new ones the `first` are, too, and every one whose number `every` divides."""

    kind: ClassVar[str] = "link.drop_connections"
    first: int = 0
    every: int = 0


@dataclass(frozen=True, slots=True)
class StallTls(Breakage):
    """New TCP connections are made, but the TLS handshake on them is never answered. What is not TLS passes."""

    kind: ClassVar[str] = "link.tls_stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailDns(Breakage):
    """The name by which a link's source finds its destination does not resolve, or not to where it should."""

    kind: ClassVar[str] = "link.dns_failure"
    by_name: ClassVar[bool] = True
    answer: Literal["nxdomain", "servfail", "timeout", "refused", "wrong-address", "slow"]
    """`slow` is the right one; `timeout` is none."""
    delay: float = 0.0
    """By which it comes late."""
    drain: bool = True
    """Open connections are closed as soon as no request is under way on them, so that the name is asked for."""
