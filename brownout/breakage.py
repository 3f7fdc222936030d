"""The vocabulary of what can be done to a place: data, so that it can be written to the ledger before it is done.

A fault (a scenario with a name) is made of breakages; a target says which kinds it can do (`Target.capabilities`).
A new kind is one dataclass here and its doing in each target that can; the protocol does not change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar


@dataclass(frozen=True, slots=True)
class ServicePlace:
    """A service: it can be killed, paused, starved."""

    service: str

    def __str__(self) -> str:
        return self.service


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """The connections that one service opens to another."""

    source: str
    destination: str

    def __str__(self) -> str:
        return f"{self.source} → {self.destination}"


Place = ServicePlace | LinkPlace


@dataclass(frozen=True, slots=True)
class Breakage:
    """Base of what can be done to a place. Durations are in seconds."""

    kind: ClassVar[str]

    def parameters(self) -> Mapping[str, float | int | str | bool | None]:
        """The breakage's own parameters, as they go into the ledger."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Blackhole(Breakage):
    """Connections are accepted; whatever is sent is dropped, and nothing ever comes back."""

    kind: ClassVar[str] = "link.blackhole"


@dataclass(frozen=True, slots=True)
class Reset(Breakage):
    """Connections, those already open included, are answered with a TCP RST."""

    kind: ClassVar[str] = "link.reset"


@dataclass(frozen=True, slots=True)
class Delay(Breakage):
    """Every chunk is held for `latency ± jitter` before it is passed on, in the direction of the answers."""

    kind: ClassVar[str] = "link.delay"
    latency: float
    jitter: float = 0.0
