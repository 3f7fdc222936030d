"""What a fault is given: the system under test, seen as services and links.

`System` is the one protocol; `Plan` is the system that breaks nothing and notes what would be broken. The live one is
`brownout.injection.LiveSystem`.
"""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import NewType, Protocol

from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace

ServiceName = NewType("ServiceName", str)
"""The name of a service of the target; checked against it before anything starts."""


@dataclass(frozen=True, slots=True)
class Topology:
    """What a target consists of; known before it is brought up."""

    services: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    """Pairs (source, destination)."""
    capabilities: frozenset[str]
    """Kinds of breakage that the target can do, such as `link.blackhole`."""
    dependencies: tuple[str, ...] = ()
    """Names under which circuit breakers report; empty where they are not known in advance."""
    question_sets: tuple[str, ...] = ()
    policies: tuple[str, ...] = ("strict", "balanced", "available")


class Breakable(Protocol):
    """A place that can be broken."""

    def broken(self, breakage: Breakage) -> AbstractAsyncContextManager[None]:
        """Entering breaks it, leaving heals it.

        Raises:
            FaultError: it could not be done or undone.
        """


class System(Protocol):
    """The system under test, as a fault sees it."""

    def link(self, source: ServiceName, destination: ServiceName) -> Breakable:
        """The link from one service to another."""

    def service(self, name: ServiceName) -> Breakable:
        """A service."""


class UnknownPlace(ValueError):
    """A fault named a service or link that the target does not have."""

    def __init__(self, place: Place) -> None:
        self.place = place
        super().__init__(f"the target has no {'service' if isinstance(place, ServicePlace) else 'link'} {place}")


class Plan:
    """A system that breaks nothing and notes what would be broken."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.steps: list[tuple[Place, Breakage]] = []

    def link(self, source: ServiceName, destination: ServiceName) -> Breakable:
        """Raises `UnknownPlace` where the target has no such link."""
        place = LinkPlace(source, destination)
        if (source, destination) not in self._topology.links:
            raise UnknownPlace(place)
        return _Planned(self, place)

    def service(self, name: ServiceName) -> Breakable:
        """Raises `UnknownPlace` where the target has no such service."""
        place = ServicePlace(name)
        if name not in self._topology.services:
            raise UnknownPlace(place)
        return _Planned(self, place)


@dataclass(frozen=True, slots=True)
class _Planned:
    plan: Plan
    place: Place

    @asynccontextmanager
    async def broken(self, breakage: Breakage) -> AsyncIterator[None]:
        self.plan.steps.append((self.place, breakage))
        yield
