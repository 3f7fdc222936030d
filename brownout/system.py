"""What a fault is given: the system under test, seen as services and links.

`System` is the one protocol; `Plan` is the system that breaks nothing and notes what would be broken. The live one is
a view of `brownout.injection.LiveSystem`.
"""

import re
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from typing import NewType, Protocol

from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace

ServiceName = NewType("ServiceName", str)
"""The name of a service of the target; checked against it before anything starts."""
DependencyName = NewType("DependencyName", str)
"""What a service of the target calls, as its answers and circuit breakers name it."""
DependencyPattern = NewType("DependencyPattern", str)
"""One of them; or, with a trailing *, all whose names begin so: `llm-*`."""
ServiceFamily = NewType("ServiceFamily", str)
"""What the replicas of one service have in common: `inference`, of `inference-1`, `inference-2`, ..."""

TierName = NewType("TierName", str)
"""A tier of the target's callers; checked against those that it has before anything starts."""
LoadName = NewType("LoadName", str)
"""The name of one of the experiment's streams of load; checked as well."""

_REPLICA = re.compile(r"(?P<family>.+)-(?P<number>[1-9][0-9]*)")


@dataclass(frozen=True, slots=True)
class Topology:
    """What a target consists of; known before it is brought up."""

    services: tuple[str, ...]
    links: tuple[tuple[str, str], ...]
    """Pairs (source, destination)."""
    capabilities: frozenset[str]
    """What of `brownout.breakage` the target can do, such as `link.blackhole`."""
    lacking: Mapping[str, str] = field(default_factory=dict)
    """What it cannot do and why, where there is more to say than that."""
    link_lacking: Mapping[tuple[str, str], Mapping[str, str]] = field(default_factory=dict)
    """What cannot be done to one link though it can to others, and why."""
    dependencies: tuple[str, ...] = ()
    """Names under which circuit breakers report; empty where they are not known in advance."""
    question_sets: tuple[str, ...] = ()
    http_links: tuple[tuple[str, str], ...] = ()
    """Of the links those that carry HTTP, and of which single requests can be broken."""
    named_links: tuple[tuple[str, str], ...] = ()
    """Of the links those whose source finds its destination by a host name, which can be broken."""
    disks: tuple[str, ...] = ()
    """Of the services those that keep their data on a disk of their own, which nobody else's is filled with."""
    takes_documents: bool = False
    """Whether documents can be stored in it while it runs."""
    policies: tuple[str, ...] = ("strict", "balanced", "available")
    tiers: tuple[str, ...] = ()
    """Of the callers; empty where they are not known in advance."""
    tenants: tuple[str, ...] = ()
    """The same of theirs."""
    attached: tuple[str, ...] = ()
    """Of the services those that the target did not start and cannot end: only links to and from them can be broken."""
    unjudged: Mapping[str, str] = field(default_factory=dict)
    """Probes that find nothing to judge on it, each with the reason."""
    own_traffic: bool = False
    """Whether nobody asks it anything but the run itself, which brought it up: there is nobody else to be hit."""
    cross_checks: Mapping[str, str] = field(default_factory=dict)
    """How a Prometheus server that scrapes the target is asked for figures that the load's own evidence holds as well:
    PromQL for `request-rate`, `error-share` and `ttft-p95` (seconds), with `$window` for the length of the stretch, and
    `ttft-bounds`: the buckets that the quantile is from, by their label `le`."""

    @property
    def families(self) -> Mapping[str, tuple[str, ...]]:
        """The services that have replicas, each with theirs: those that are named alike but for their number."""
        found: dict[str, dict[int, str]] = {}
        for service in self.services:
            if (replica := _REPLICA.fullmatch(service)) is not None:
                found.setdefault(replica["family"], {})[int(replica["number"])] = service
        return {family: tuple(name for _, name in sorted(replicas.items())) for family, replicas in found.items()}


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

    def one_of(self, family: ServiceFamily) -> Breakable:
        """One of a service's replicas, by chance: the run's seed decides in which order they are taken.

        None is taken a second time before each of the others was.
        """

    def replicas(self, family: ServiceFamily) -> int:
        """How many replicas a service has."""


class UnknownPlace(ValueError):
    """A fault named a service or link that the target does not have."""

    def __init__(self, place: Place) -> None:
        self.place = place
        super().__init__(f"the target has no {'service' if isinstance(place, ServicePlace) else 'link'} {place}")


class UnknownFamily(ValueError):
    """A fault named a service with replicas that the target does not have."""

    def __init__(self, family: str) -> None:
        self.family = family
        super().__init__(f"the target has no service with replicas of the name {family}")


class Plan:
    """A system that breaks nothing and notes what would be broken."""

    def __init__(self, topology: Topology) -> None:
        self._topology = topology
        self.steps: list[tuple[Place, Breakage]] = []
        self.by_chance: set[int] = set()
        """Which of the steps would hit one replica or another of a service."""

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

    def one_of(self, family: ServiceFamily) -> Breakable:
        """The first replica stands for the others. Raises `UnknownFamily` where the target has no such service."""
        if family not in self._topology.families:
            raise UnknownFamily(family)
        return _Planned(self, ServicePlace(self._topology.families[family][0]), by_chance=True)

    def replicas(self, family: ServiceFamily) -> int:
        """Raises `UnknownFamily` where the target has no such service."""
        if family not in self._topology.families:
            raise UnknownFamily(family)
        return len(self._topology.families[family])


@dataclass(frozen=True, slots=True)
class _Planned:
    plan: Plan
    place: Place
    by_chance: bool = False

    @asynccontextmanager
    async def broken(self, breakage: Breakage) -> AsyncIterator[None]:
        if self.by_chance:
            self.plan.by_chance.add(len(self.plan.steps))
        self.plan.steps.append((self.place, breakage))
        yield
