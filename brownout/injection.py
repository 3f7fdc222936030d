"""The live system: whatever is broken is in the ledger first, on a lease that is kept up, and healed on leaving."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace
from brownout.broken import RENEW_EVERY, TTL, Broken, Injector, OnChange, uninterrupted
from brownout.clock import Clock
from brownout.errors import BrownoutError, FaultError
from brownout.ledger import Ledger
from brownout.system import Breakable, ServiceFamily, ServiceName, System, UnknownFamily, UnknownPlace
from brownout.target import Target


class LiveSystem:
    """The system under test, with its ledger, its leases and its clock. `watched` gives a `System`.

    `on_error` is told of everything that makes the faults of this run other than they were meant: a lease that lapsed,
    a renewal or a heal that failed. A run with such an error cannot be green. `seed` decides in which order the
    replicas of a service are taken.
    """

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        run: str,
        *,
        clock: Clock,
        seed: int = 0,
        on_error: Callable[[str], None] = lambda _: None,
        ttl: float = TTL,
        renew_every: float = RENEW_EVERY,
    ) -> None:
        self.target = target
        self._injector = Injector(
            target=target, ledger=ledger, run=run, clock=clock, report=on_error, ttl=ttl, renew_every=renew_every
        )
        # Not the load's draws over again, which have the same seed.
        self._rng = random.Random(f"replicas/{seed}")  # noqa: S311 - reproducible, not secret
        self._waiting: dict[str, list[str]] = {}
        self._broken: dict[str, Broken] = {}
        self._over = False

    def watched(self, on_change: OnChange) -> System:
        """The system, as a fault sees it: one view for each step of a method.

        `on_change` is called when something is really broken, and again when it is really whole, with what was counted
        meanwhile.
        """
        return _View(self, on_change)

    def draw(self, family: ServiceFamily) -> ServiceName:
        """The replica whose turn it is. Raises `UnknownFamily` where the target has no such service with replicas."""
        replicas = self.target.topology.families.get(family)
        if replicas is None:
            raise UnknownFamily(family)
        waiting = self._waiting.setdefault(family, [])
        if not waiting:
            waiting += self._rng.sample(replicas, len(replicas))
        return ServiceName(waiting.pop())

    async def heal_all(self) -> None:
        """Heal everything at once, and let nothing be broken any more. Does nothing where nothing is broken.

        Raises:
            FaultError: something could not be healed. The rest is healed all the same.
        """
        self._over = True
        ended = await asyncio.gather(
            *(uninterrupted(broken.leave()) for broken in self._broken.values()), return_exceptions=True
        )
        failures = [str(failure) for failure in ended if isinstance(failure, BrownoutError)]
        for failure in ended:
            if isinstance(failure, BaseException) and not isinstance(failure, BrownoutError):
                raise failure
        if failures:
            raise FaultError("; ".join(failures))

    @asynccontextmanager
    async def break_(self, place: Place, breakage: Breakage, on_change: OnChange) -> AsyncIterator[None]:
        """Enter: ledger, injection, renewal. Leave: proof, heal, ledger; not to be interrupted."""
        if self._over:
            msg = f"{breakage.kind} at {place} was not injected: this run is being healed"
            raise FaultError(msg)
        lease = f"{self._injector.run}.{secrets.token_hex(4)}"
        broken = Broken(self._injector, place, breakage, lease=lease, on_change=on_change)
        self._broken[lease] = broken
        try:
            try:
                await broken.enter()
                yield
            finally:
                await uninterrupted(broken.leave())
        finally:
            del self._broken[lease]


@dataclass(frozen=True, slots=True)
class _View:
    system: LiveSystem
    on_change: OnChange

    def link(self, source: ServiceName, destination: ServiceName) -> Breakable:
        place = LinkPlace(source, destination)
        if (source, destination) not in self.system.target.topology.links:
            raise UnknownPlace(place)
        return _Live(self, place)

    def service(self, name: ServiceName) -> Breakable:
        place = ServicePlace(name)
        if name not in self.system.target.topology.services:
            raise UnknownPlace(place)
        return _Live(self, place)

    def one_of(self, family: ServiceFamily) -> Breakable:
        return self.service(self.system.draw(family))

    def replicas(self, family: ServiceFamily) -> int:
        replicas = self.system.target.topology.families.get(family)
        if replicas is None:
            raise UnknownFamily(family)
        return len(replicas)


@dataclass(frozen=True, slots=True)
class _Live:
    view: _View
    place: Place

    @asynccontextmanager
    async def broken(self, breakage: Breakage) -> AsyncIterator[None]:
        async with self.view.system.break_(self.place, breakage, self.view.on_change):
            yield
