"""What every target is."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from brownout.breakage import Breakage, Place
from brownout.evidence.model import Proof
from brownout.system import Topology
from brownout.target.model import Door, Question, Setting, Source, TargetOptions
from brownout.target.observed import LinkCounters, ProcessUsage, ServiceState

Say = Callable[[str], None]
"""Tells the user what is being done, one short phrase at a time."""


class Target(Protocol):
    """A running system that can be broken. Made by a `TargetFactory`; every method but `topology` needs `up` first."""

    @property
    def topology(self) -> Topology: ...

    async def up(self, options: TargetOptions, say: Say) -> None:
        """Bring the system up, load its data, and return when it is ready and warm.

        Raises:
            EnvironmentProblem: this machine cannot (a port in use, a missing package); nothing is left behind.
        """

    async def down(self) -> None:
        """End everything that `up` started. Does nothing the second time."""

    def door(self) -> Door: ...

    def questions(self, name: str) -> Sequence[Question]: ...

    def sources(self) -> Sequence[Source]: ...

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        """Break a place, under a lease of `ttl` seconds, which ends the breakage where it acts unless renewed.

        Raises:
            FaultError: it could not be done; then nothing of it is left.
        """

    async def renew(self, lease: str, *, ttl: float) -> None:
        """Raises `FaultError` where the lease is no more."""

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        """End a breakage. Healing what is already healed is no error, nor is a victim that has gone meanwhile."""

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        """What was counted at that place since `inject`; called just before `heal`."""

    async def counters(self) -> Sequence[LinkCounters]: ...

    async def services(self) -> Sequence[ServiceState]:
        """The state of every service; nothing where the target does not know."""

    async def usage(self) -> ProcessUsage: ...

    async def watch(self) -> None:
        """Return never, unless cancelled: see that whatever `up` started on *our* side goes on (the fault proxy, a
        supervisor), as opposed to the system under test.

        Raises:
            EnvironmentProblem: a part of ours ended; the run's evidence is worth nothing from then on.
        """

    def recovery(self) -> Mapping[str, Any]:
        """What another process needs in order to undo all this after our death: JSON, without secrets."""


class TargetFactory(Protocol):
    """What the entry point group `brownout.targets` registers."""

    name: str
    """As it is registered."""

    def __call__(self) -> Target: ...

    def check(self) -> Sequence[str]:
        """What this machine lacks for the target, in plain words; empty where it can be used."""

    def settings(self) -> Mapping[str, Setting]:
        """What may be set on the system under test; empty where there is nothing."""

    def topology_of(self, settings: Mapping[str, str | float | int | bool]) -> Topology:
        """What the target consists of with these settings, which are as in `TargetOptions.settings`."""

    async def undo(self, recovery: Mapping[str, Any]) -> Sequence[str]:
        """Undo what a dead run left behind, from what `Target.recovery` said; tells what it did."""
