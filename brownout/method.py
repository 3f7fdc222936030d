"""Playing the method: each fault enters and leaves at its stated time, on the run's own clock."""

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Any

from brownout import registry
from brownout.broken import BrokenSpan
from brownout.clock import Clock
from brownout.errors import FaultError, said
from brownout.evidence.model import Proof
from brownout.evidence.recording import Recording
from brownout.experiment import Step
from brownout.halt import Halt, Stopped
from brownout.injection import LiveSystem

TOLERANCE = 0.5
"""Seconds by which a fault may come on late, or last too short, before it is no longer the fault that was declared."""
TOLERANCE_SHARE = 0.1
"""The same as a share of its length; the larger of the two counts."""

Note = Callable[[float, str], None]


class Method:
    """The faults of one run. Whatever goes wrong with them is told to `trouble`, and the run is not green."""

    def __init__(
        self,
        steps: Sequence[Step],
        *,
        system: LiveSystem,
        recording: Recording,
        clock: Clock,
        halt: Halt,
        note: Note,
        trouble: Callable[[str], None],
    ) -> None:
        self._steps = steps
        self._system = system
        self._recording = recording
        self._clock = clock
        self._halt = halt
        self._note = note
        self._trouble = trouble
        self._plays: dict[int, asyncio.Task[None]] = {}

    @property
    def began(self) -> bool:
        """Whether any step has been turned to."""
        return bool(self._plays)

    @property
    def pending(self) -> bool:
        """Whether a fault is on, or waits for its time."""
        return any(not task.done() for task in self._plays.values())

    async def inject(self, index: int) -> str:
        """Wait for the step's time and enter its fault; says when it was really on.

        Raises:
            Stopped: the run was stopped first.
            FaultError: it could not be injected.
        """
        step = self._steps[index]
        self._halt.check()
        on: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        task = asyncio.get_running_loop().create_task(self._play(step, on), name=step.title)
        # What it raises has been told as trouble; nobody else need ask for it.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._plays[index] = task
        waited: set[asyncio.Future[Any]] = {task, on}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not on.done():
            on.cancel()
            self._halt.check()
            msg = f"{step.title} could not be injected"
            raise FaultError(msg)
        return f"on since {on.result():.3f} s of the run"

    async def withdraw(self, index: int) -> str:
        """Wait until the step's fault is really off; says when that was.

        Raises:
            FaultError: it was never on, or could not be healed.
        """
        play = self._plays.get(index)
        if play is not None:
            await asyncio.wait({play})
        span = next((fault for fault in self._recording.faults if fault.index == index), None)
        if play is None or span is None or span.off is None or play.exception() is not None:
            msg = f"{self._steps[index].title} could not be healed"
            raise FaultError(msg)
        return f"off since {span.off:.3f} s of the run"

    async def heal(self) -> int:
        """End every fault that is on, and let none come on any more; returns how many there were.

        The run must have been stopped, or every step be over.
        """
        held = [task for task in self._plays.values() if not task.done()]
        if held:
            await asyncio.wait(held)
        try:
            await self._system.heal_all()
        except FaultError as error:
            self._trouble(str(error))
        return len(held)

    async def _play(self, step: Step, on: asyncio.Future[float]) -> None:
        # One task enters and leaves: a fault may hold a task group across its `yield`.
        spans: dict[str, BrokenSpan] = {}
        system = self._system.watched(lambda span: spans.update({span.lease: span}))
        entered = healed = False
        try:
            with contextlib.suppress(Stopped):
                await self._halt.unless(self._clock.sleep_until(step.at))
                async with registry.faults().get(step.fault)(system, **step.arguments):
                    entered = True
                    # From the first moment on which something was broken: a breaker may be quicker than we are.
                    now = min((span.on for span in spans.values()), default=self._clock.now())
                    self._recording.fault_on(step.index, step.fault, step.title, now)
                    self._note(now, f"{step.title}: on")
                    if not on.cancelled():
                        on.set_result(now)
                    with contextlib.suppress(Stopped):
                        await self._halt.unless(self._clock.sleep_until(step.end))
                healed = True
        except Exception as error:
            # A fault of a user's own may raise anything; whatever it is, the run is not green.
            self._trouble(f"{step.title}: {said(error)}")
            raise
        finally:
            if entered:
                self._over(step, list(spans.values()), healed=healed)

    def _over(self, step: Step, spans: Sequence[BrokenSpan], *, healed: bool) -> None:
        ends = [span.off for span in spans if span.off is not None]
        now = max(ends) if ends and len(ends) == len(spans) else self._clock.now()
        if healed:
            self._recording.fault_off(step.index, now, together([span.proof for span in spans]))
            self._note(now, f"{step.title}: healed")
        if self._halt.reason is None:
            self._check_times(step, min((span.on for span in spans), default=step.at), now)

    def _check_times(self, step: Step, on: float, off: float) -> None:
        tolerance = max(TOLERANCE, TOLERANCE_SHARE * step.for_)
        if on - step.at > tolerance:
            self._trouble(f"{step.title}: came on {on - step.at:.1f} s late; this machine or its target is too slow")
        if abs(off - on - step.for_) > tolerance:
            self._trouble(f"{step.title}: was on for {off - on:.1f} s instead of {step.for_:.3g} s")


def together(found: Sequence[Proof | None]) -> Proof | None:
    """One proof of a fault that broke several places: it works where each of them does. None where one is missing."""
    proofs = [proof for proof in found if proof is not None]
    if not proofs or len(proofs) < len(found):
        return None
    if len(proofs) == 1:
        return proofs[0]
    figures = {f"{index}.{name}": value for index, proof in enumerate(proofs) for name, value in proof.figures.items()}
    return Proof(all(proof.works for proof in proofs), "; ".join(proof.summary for proof in proofs), figures)
