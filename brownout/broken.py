"""The life of one breakage: written down, injected, kept up by renewing its lease, proved, healed."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from brownout.breakage import Breakage, Place
from brownout.clock import Clock
from brownout.errors import EnvironmentProblem, FaultError, said
from brownout.evidence.model import Proof
from brownout.ledger import Ledger
from brownout.target import Target
from brownout.units import format_seconds

T = TypeVar("T")

TTL = 5.0
"""Seconds for which a fault outlives its last renewal, where it acts."""
RENEW_EVERY = 1.0
"""Seconds between renewals: four may be lost before the fault lapses."""
HEAL_TRIES = 3
PROVE_TIMEOUT = 2.0
"""Seconds that reading a proof may hold up the heal."""
RENEWAL_TIMEOUT = 1.0
"""Seconds for which a renewal that is under way may hold up the heal."""
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Injector:
    """What it takes to break something and to have it whole again."""

    target: Target
    ledger: Ledger
    run: str
    """Its id in the ledger."""
    clock: Clock
    report: Callable[[str], None]
    """Told of everything that makes a fault other than it was meant: with such an error no run is green."""
    ttl: float = TTL
    renew_every: float = RENEW_EVERY


class Broken:
    """One breakage on its way from intended to healed. Entered once; left once, by whoever comes first."""

    def __init__(
        self, injector: Injector, place: Place, breakage: Breakage, *, lease: str, on_change: OnChange
    ) -> None:
        self._injector = injector
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
        """Ledger, injection, renewal.

        Raises:
            FaultError: it could not be injected, or is being left already.
            EnvironmentProblem: it could not be written down.
        """
        injector = self._injector
        async with self._turn:
            if self._left:
                msg = f"{self} was not injected: this run is being healed"
                raise FaultError(msg)
            await uninterrupted(
                asyncio.to_thread(injector.ledger.intend, injector.run, self._lease, self._place, self._breakage)
            )
            self._written = True
            try:
                await injector.target.inject(self._place, self._breakage, lease=self._lease, ttl=injector.ttl)
            except (OSError, TimeoutError) as problem:
                msg = f"{self} could not be injected: {problem}"
                raise FaultError(msg) from problem
            self._span = BrokenSpan(self._place, self._breakage, self._lease, on=injector.clock.now())
            self._renewal = asyncio.create_task(self._renew(), name=f"renew {self._lease}")
            await uninterrupted(asyncio.to_thread(injector.ledger.on, self._lease))
            self._on_change(self._span)

    async def leave(self) -> None:
        """Proof, heal, ledger. Whoever comes second waits for the first and does nothing.

        Raises:
            FaultError: it could not be healed; the ledger holds it still.
            EnvironmentProblem: that it is healed could not be written down.
        """
        async with self._turn:
            if self._left:
                return
            self._left = True
            if self._renewal is not None:
                self._renewal.cancel()
                # What it ended with has been reported, and is no reason not to heal; nor is that it does not end.
                _, deaf = await asyncio.wait({self._renewal}, timeout=RENEWAL_TIMEOUT)
                if deaf:
                    self._injector.report(f"{self}: its renewal went on for {RENEWAL_TIMEOUT:g} s after it was ended")
            if not self._written:
                return
            # An injection that failed may have failed half-way: what is in the ledger is healed either way.
            proof = await self._prove() if self._span is not None else None
            try:
                await self._heal()
            finally:
                if self._span is not None:
                    self._span = replace(self._span, off=self._injector.clock.now(), proof=proof)
                    self._on_change(self._span)
            try:
                await asyncio.to_thread(self._injector.ledger.healed, self._lease)
            except EnvironmentProblem as problem:
                self._injector.report(f"{self} was healed, but that could not be written down: {problem}")
                raise

    async def _prove(self) -> Proof:
        try:
            # Not for long: a fault is healed in time even where nothing can be read of it.
            async with asyncio.timeout(PROVE_TIMEOUT):
                return await self._injector.target.prove(self._place, self._breakage, lease=self._lease)
        except Exception as problem:
            # A target of a user's own may raise anything; whatever it is, the fault is healed all the same.
            late = f"the target did not tell within {format_seconds(PROVE_TIMEOUT)}"
            why = late if isinstance(problem, TimeoutError) else said(problem)
            self._injector.report(f"{self} could not be proved: {why}")
            return Proof(works=False, summary=f"What happened at {self._place} could not be read: {why}")

    async def _heal(self) -> None:
        injector = self._injector
        for left in reversed(range(HEAL_TRIES)):
            try:
                await injector.target.heal(self._place, self._breakage, lease=self._lease)
            except Exception as problem:
                # As with the proof; and what failed once may well be done the next time.
                if not left:
                    msg = (
                        f"{self} could not be healed in {HEAL_TRIES} tries ({said(problem)}); "
                        f"its lease ends it within {injector.ttl:g} s"
                    )
                    injector.report(msg)
                    raise FaultError(msg) from problem
                await injector.clock.sleep_until(injector.clock.now() + _HEAL_PAUSE)
            else:
                return

    async def _renew(self) -> None:
        """Keep the lease up. One that is lost stays lost: the fault has ended where it acts."""
        injector = self._injector
        kept = injector.clock.now()
        # Not for ever: a target of a user's own may swallow the cancellation, as libraries do by mistake.
        while not self._left:
            await injector.clock.sleep_until(injector.clock.now() + injector.renew_every)
            try:
                await injector.target.renew(self._lease, ttl=injector.ttl)
            except FaultError as problem:
                if not self._left:
                    injector.report(f"{self} ended before its time: {problem}")
                return
            except (OSError, TimeoutError) as problem:
                if injector.clock.now() - kept >= injector.ttl:
                    injector.report(f"{self} could not be renewed for {injector.ttl:g} s and has lapsed: {problem}")
                    return
            except Exception as problem:
                # Nobody else hears of it: whoever leaves waits for this task to end, and no more.
                injector.report(f"{self} is not renewed any more and lapses within {injector.ttl:g} s: {said(problem)}")
                return
            else:
                kept = injector.clock.now()


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
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
