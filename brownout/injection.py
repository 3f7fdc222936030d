"""The live system: whatever is broken is in the ledger first, on a lease that is kept up, and healed on leaving."""

import asyncio
import random
import secrets
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace
from brownout.clock import Clock
from brownout.errors import BrownoutError, EnvironmentProblem, FaultError, said
from brownout.evidence.model import Proof
from brownout.ledger import Ledger
from brownout.system import Breakable, ServiceFamily, ServiceName, System, UnknownFamily, UnknownPlace
from brownout.target import Target

T = TypeVar("T")

TTL = 5.0
"""Seconds for which a fault outlives its last renewal, where it acts."""
RENEW_EVERY = 1.0
"""Seconds between renewals: four may be lost before the fault lapses."""
HEAL_TRIES = 3
PROVE_TIMEOUT = 1.0
"""Seconds that reading a proof may hold up the heal."""
_HEAL_PAUSE = 0.2


@dataclass(frozen=True, slots=True)
class BrokenSpan:
    """One breakage, from when it was really on until it was really off. Seconds of the run."""

    place: Place
    breakage: Breakage
    lease: str
    on: float
    off: float | None = None
    """None while it is on."""
    proof: Proof | None = None


OnChange = Callable[[BrokenSpan], None]
OnError = Callable[[str], None]


class LiveSystem:
    """The system under test, with its ledger, its leases and its clock. Implements `brownout.system.System`.

    `on_change` is called when something is really broken, and again when it is really whole, with what was counted
    meanwhile. `on_error` is told of everything that makes the faults of this run other than they were meant: a lease
    that lapsed, a renewal or a heal that failed. A run with such an error cannot be green; `errors` keeps them.
    `seed` decides in which order the replicas of a service are taken.
    """

    def __init__(
        self,
        target: Target,
        ledger: Ledger,
        run: str,
        *,
        clock: Clock,
        seed: int = 0,
        on_change: OnChange = lambda _: None,
        on_error: OnError = lambda _: None,
        ttl: float = TTL,
        renew_every: float = RENEW_EVERY,
    ) -> None:
        self.target = target
        self.ledger = ledger
        self.run = run
        self.clock = clock
        self.ttl = ttl
        self.renew_every = renew_every
        self.errors: list[str] = []
        self._on_change = on_change
        self._on_error = on_error
        # Not the load's draws over again, which have the same seed.
        self._rng = random.Random(f"replicas/{seed}")  # noqa: S311 - reproducible, not secret
        self._waiting: dict[str, list[str]] = {}
        self._broken: dict[str, _Broken] = {}
        self._over = False

    def link(self, source: ServiceName, destination: ServiceName) -> Breakable:
        """Raises `UnknownPlace` where the target has no such link."""
        return self.watched(self._on_change).link(source, destination)

    def service(self, name: ServiceName) -> Breakable:
        """Raises `UnknownPlace` where the target has no such service."""
        return self.watched(self._on_change).service(name)

    def one_of(self, family: ServiceFamily) -> Breakable:
        """Raises `UnknownFamily` where the target has no such service with replicas."""
        return self.watched(self._on_change).one_of(family)

    def watched(self, on_change: OnChange) -> System:
        """The same system, telling someone else what changes: one view for each step of a method."""
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
            *(_uninterrupted(broken.leave()) for broken in self._broken.values()), return_exceptions=True
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
        lease = f"{self.run}.{secrets.token_hex(4)}"
        broken = _Broken(self, place, breakage, lease, on_change)
        self._broken[lease] = broken
        try:
            try:
                await broken.enter()
                yield
            finally:
                await _uninterrupted(broken.leave())
        finally:
            del self._broken[lease]

    def report(self, error: str) -> None:
        """Note something that makes this run's faults other than they were meant."""
        self.errors.append(error)
        self._on_error(error)


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


@dataclass(frozen=True, slots=True)
class _Live:
    view: _View
    place: Place

    @asynccontextmanager
    async def broken(self, breakage: Breakage) -> AsyncIterator[None]:
        async with self.view.system.break_(self.place, breakage, self.view.on_change):
            yield


class _Broken:
    """One breakage on its way from intended to healed. Entered once; left once, by whoever comes first."""

    def __init__(self, system: LiveSystem, place: Place, breakage: Breakage, lease: str, on_change: OnChange) -> None:
        self._system = system
        self._place = place
        self._breakage = breakage
        self._lease = lease
        self._on_change = on_change
        self._turn = asyncio.Lock()
        self._span: BrokenSpan | None = None
        self._written = False
        self._left = False
        self._renewal: asyncio.Task[None] | None = None

    def __str__(self) -> str:
        return f"{self._breakage.kind} at {self._place}"

    async def enter(self) -> None:
        system = self._system
        async with self._turn:
            if self._left:
                msg = f"{self} was not injected: this run is being healed"
                raise FaultError(msg)
            await _uninterrupted(
                asyncio.to_thread(system.ledger.intend, system.run, self._lease, self._place, self._breakage)
            )
            self._written = True
            try:
                await system.target.inject(self._place, self._breakage, lease=self._lease, ttl=system.ttl)
            except (OSError, TimeoutError) as problem:
                msg = f"{self} could not be injected: {problem}"
                raise FaultError(msg) from problem
            self._span = BrokenSpan(self._place, self._breakage, self._lease, on=system.clock.now())
            self._renewal = asyncio.create_task(self._renew(), name=f"renew {self._lease}")
            await _uninterrupted(asyncio.to_thread(system.ledger.on, self._lease))
            self._on_change(self._span)

    async def leave(self) -> None:
        async with self._turn:
            if self._left:
                return
            self._left = True
            if self._renewal is not None:
                self._renewal.cancel()
                # What it ended with has been reported, and is no reason not to heal.
                await asyncio.wait({self._renewal})
            if not self._written:
                return
            # An injection that failed may have failed half-way: what is in the ledger is healed either way.
            proof = await self._prove() if self._span is not None else None
            try:
                await self._heal()
            finally:
                if self._span is not None:
                    self._span = replace(self._span, off=self._system.clock.now(), proof=proof)
                    self._on_change(self._span)
            try:
                await asyncio.to_thread(self._system.ledger.healed, self._lease)
            except EnvironmentProblem as problem:
                self._system.report(f"{self} was healed, but that could not be written down: {problem}")
                raise

    async def _prove(self) -> Proof:
        try:
            # Not for long: a fault is healed in time even where nothing can be read of it.
            async with asyncio.timeout(PROVE_TIMEOUT):
                return await self._system.target.prove(self._place, self._breakage, lease=self._lease)
        except Exception as problem:
            # A target of a user's own may raise anything; whatever it is, the fault is healed all the same.
            self._system.report(f"{self} could not be proved: {said(problem)}")
            return Proof(works=False, summary=f"What happened at {self._place} could not be read: {said(problem)}")

    async def _heal(self) -> None:
        system = self._system
        for left in reversed(range(HEAL_TRIES)):
            try:
                await system.target.heal(self._place, self._breakage, lease=self._lease)
            except Exception as problem:
                # As with the proof; and what failed once may well be done the next time.
                if not left:
                    msg = (
                        f"{self} could not be healed in {HEAL_TRIES} tries ({said(problem)}); "
                        f"its lease ends it within {system.ttl:g} s"
                    )
                    system.report(msg)
                    raise FaultError(msg) from problem
                await system.clock.sleep_until(system.clock.now() + _HEAL_PAUSE)
            else:
                return

    async def _renew(self) -> None:
        """Keep the lease up. One that is lost stays lost: the fault has ended where it acts."""
        system = self._system
        kept = system.clock.now()
        while True:
            await system.clock.sleep_until(system.clock.now() + system.renew_every)
            try:
                await system.target.renew(self._lease, ttl=system.ttl)
            except FaultError as problem:
                system.report(f"{self} ended before its time: {problem}")
                return
            except (OSError, TimeoutError) as problem:
                if system.clock.now() - kept >= system.ttl:
                    system.report(f"{self} could not be renewed for {system.ttl:g} s and has lapsed: {problem}")
                    return
            except Exception as problem:
                # Nobody else hears of it: whoever leaves waits for this task to end, and no more.
                system.report(f"{self} is not renewed any more and lapses within {system.ttl:g} s: {said(problem)}")
                return
            else:
                kept = system.clock.now()


async def _uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end even if this task is cancelled meanwhile; the cancellation is raised afterwards."""
    task = asyncio.create_task(work)
    cancelled: asyncio.CancelledError | None = None
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        # What the work itself raised is not lost: every failure to heal is reported as well.
        if not task.cancelled():
            task.exception()
        raise cancelled
    return task.result()
