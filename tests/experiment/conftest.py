"""Faults, probes and a target that are made for these tests: every type of parameter, and nothing to break."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal, cast

import pytest

from brownout.breakage import Blackhole, Delay, Reset
from brownout.evidence import Window
from brownout.fault import fault
from brownout.probe import Verdict, inconclusive, probe
from brownout.registry import Fault, Probe, Registry
from brownout.system import (
    DependencyName,
    DependencyPattern,
    LoadName,
    ServiceFamily,
    ServiceName,
    System,
    TierName,
    Topology,
)
from brownout.target import Setting
from brownout.units import Duration, Latency, Rate, Share, Size

_NO_DELAY = Latency(0.0)


@fault
@asynccontextmanager
async def partition(
    system: System, *, from_: ServiceName, to: ServiceName, manner: Literal["blackhole", "reset"] = "blackhole"
) -> AsyncIterator[None]:
    """Sever a link.

    Args:
        from_: who asks,
            and is not answered.
        to (str): who does not answer.

    Raises:
        manner: not an argument, though it looks like one.
    """
    async with system.link(from_, to).broken(Blackhole() if manner == "blackhole" else Reset()):
        yield


@fault
@asynccontextmanager
async def latency(
    system: System, *, from_: ServiceName, to: ServiceName, latency: Latency, jitter: Latency = _NO_DELAY
) -> AsyncIterator[None]:
    """Slow a link."""
    if jitter > latency:
        msg = "jitter is more than latency"
        raise ValueError(msg)
    async with system.link(from_, to).broken(Delay(latency, jitter)):
        yield


@fault
@asynccontextmanager
async def restart(system: System, *, service: ServiceName) -> AsyncIterator[None]:
    """Break a service."""
    async with system.service(service).broken(Reset()):
        yield


@fault
@asynccontextmanager
async def eviction(system: System, *, service: ServiceFamily) -> AsyncIterator[None]:
    """One of a service's replicas goes."""
    async with system.one_of(service).broken(Blackhole()):
        yield


@fault
@asynccontextmanager
async def flood(system: System, *, rate: Rate, size: Size | None = None) -> AsyncIterator[None]:
    """Break nothing that a plan could see."""
    yield


@fault
@asynccontextmanager
async def stumbling(system: System) -> AsyncIterator[None]:
    """A fault with a bug."""
    raise KeyError(system)
    yield


@probe
def availability(window: Window, *, at_least: Share | None = None, below: Share | None = None) -> Verdict:
    """Share of questions answered."""
    if (at_least is None) == (below is None):
        msg = "say either at-least or below"
        raise ValueError(msg)
    return inconclusive("", samples=0, why=window.name)


@probe
def breaker(
    window: Window,
    *,
    dependency: DependencyName,
    becomes: Literal["closed", "open", "half-open"],
    within: Duration | None = None,
) -> Verdict:
    """A circuit breaker's state."""
    return inconclusive(dependency, samples=0, why=becomes)


FIRST = DependencyName("llm-primary")


@probe
def takeover(window: Window, *, first: DependencyName = FIRST, of: DependencyPattern | None = None) -> Verdict:
    """Another answers than the first."""
    return inconclusive(first, samples=0, why=window.name)


@probe
def level(
    window: Window, *, at_least: int = 0, factor: float = 1.0, exact: bool = False, of: ServiceName | None = None
) -> Verdict:
    """A number."""
    return inconclusive("", samples=0, why=window.name)


@probe
def busy(window: Window, *, tier: TierName | None = None, load: LoadName | None = None) -> Verdict:
    """Whose requests."""
    return inconclusive("", samples=0, why=window.name)


@probe
def alive(window: Window) -> Verdict:
    """No arguments."""
    return inconclusive("", samples=0, why=window.name)


@probe
def crashing(window: Window) -> Verdict:
    """A probe with a bug."""
    return inconclusive("", samples=1 // len(window.requests), why="")


@probe
def silent(window: Window) -> Verdict:
    """A probe without a `return`."""
    return cast("Verdict", None)


@dataclass(frozen=True)
class StandIns:
    """What `read_experiment` and `fit` may be given."""

    faults: Registry[Fault]
    probes: Registry[Probe]

    @property
    def registries(self) -> dict[str, Any]:
        return {"faults": self.faults, "probes": self.probes}


def _registry(kind: str, *functions: Any) -> Any:
    return Registry(kind, {function.__name__: lambda function=function: function for function in functions})


@pytest.fixture(scope="session")
def stand_ins() -> StandIns:
    return StandIns(
        faults=_registry("fault", partition, latency, restart, eviction, flood, stumbling),
        probes=_registry("probe", availability, breaker, takeover, level, busy, alive, crashing, silent),
    )


@pytest.fixture(scope="session")
def topology() -> Topology:
    return Topology(
        services=("gateway", "vector-db", "cache"),
        links=(("gateway", "vector-db"), ("gateway", "cache")),
        capabilities=frozenset({"link.blackhole", "link.delay"}),
        dependencies=("vector-db", "llm-primary"),
        question_sets=("golden", "quick"),
        tiers=("enterprise", "free"),
        tenants=("acme", "umbra"),
    )


@pytest.fixture(scope="session")
def settings() -> dict[str, Setting]:
    kinds = {
        "breakers": ("switch", "on"),
        "breaker-recovery": ("duration", "30s"),
        "temperature": ("number", "0.2"),
        "attempts": ("integer", "3"),
        "threshold": ("share", "10%"),
        "model": ("text", "main"),
    }
    return {name: Setting(name, kind, default, "") for name, (kind, default) in kinds.items()}  # type: ignore[arg-type]
