"""What a breakage is, where it is done, and whom it hits there."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal


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
class Reach:
    """Whom a breakage hits at most, as far as it can say so itself: everybody who comes by, where it says nothing."""

    traffic: float = 1.0
    """Share of the requests at its place, 0.0 to 1.0."""
    tenant: str | None = None
    """The one whose requests it hits; None is everybody."""
    pods: Literal["one", "all", "others"] = "one"
    """At a service: the replica at its place; all replicas of that service; or those of others as well."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """Base of what can be done to a place. Durations are in seconds."""

    kind: ClassVar[str]
    http: ClassVar[bool] = False
    """Whether it is of requests, so that only a link which carries HTTP can be broken so."""
    by_name: ClassVar[bool] = False
    """Whether it is of a host name, so that only a link whose destination is found by one can be broken so."""
    disk: ClassVar[bool] = False
    """Whether it is of a disk, so that only a service with one of its own can be broken so."""

    @property
    def capability(self) -> str:
        """What a target must be able to do for it: its kind, or one manner of it."""
        return self.kind

    @property
    def reach(self) -> Reach:
        """Whom it hits at its place."""
        return Reach()

    def parameters(self) -> Mapping[str, float | int | str | bool | None]:
        """The breakage's own parameters, as they go into the ledger."""
        return asdict(self)
