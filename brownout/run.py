"""One run, from bringing the target up to the verdict. Asynchronous; whoever drives it says when to turn to what.

Driven by the Chaos Toolkit's engine through `brownout.toolkit.bridge`. Whatever fails on the way that is not the
system's own doing (a recorder, an injection, a heal) is kept in `errors`: with one of those no verdict is `passed`.
"""

import asyncio
import contextlib
import random
import time
from collections.abc import Awaitable, Coroutine, Sequence
from typing import Any, TypeVar

import httpx

from brownout import process, registry
from brownout.clock import RunClock
from brownout.errors import BrownoutError
from brownout.evidence.model import Event, Proof
from brownout.evidence.recording import Recording
from brownout.evidence.store import EvidenceWriter
from brownout.experiment import Block, Step
from brownout.injection import BrokenSpan, LiveSystem
from brownout.judge import Judged, Judgement, judge, judge_block
from brownout.ledger import Ledger, RunRow
from brownout.load import Asker, offer
from brownout.plan import RunPlan
from brownout.recorders import follow_breakers, follow_links, follow_metrics, follow_usage
from brownout.report.progress import Progress
from brownout.runinfo import run_info
from brownout.state import hold_target
from brownout.target import Target, TargetOptions
from brownout.watch import PATIENCE, live_stats, watch_aborts

T = TypeVar("T")


class Stopped(BrownoutError):
    """The run was stopped: by an abort condition, a person, or a failure of our own."""


class Run:
    """See the module. Use: `open`, `steady_state`, `inject`/`withdraw` for each step, `recover`, `close`."""

    def __init__(self, plan: RunPlan, *, progress: Progress) -> None:
        self.plan = plan
        self.experiment = plan.experiment
        self.progress = progress
        self.recording = Recording()
        self.errors: list[str] = []
        self.aborted: str | None = None
        self.clock = RunClock()
        self.info = run_info(plan, started_at=self.clock.started_at)
        self._target: Target | None = None
        self._stop = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._plays: dict[int, asyncio.Task[None]] = {}
        self._proofs: dict[int, list[Proof]] = {}
        self._load: asyncio.Task[None] | None = None
        self._end: float | None = None
        self._stack = contextlib.AsyncExitStack()
        self._system: LiveSystem | None = None
        self._writer: EvidenceWriter | None = None

    # -- bringing up ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the target up, then start clock, evidence, recorders and load.

        Raises:
            BrownoutError: it cannot be; what had been started is ended by `close`.
        """
        plan = self.plan
        self._stack.enter_context(hold_target(plan.target, plan.instance, plan.id))
        self._ledger = self._stack.enter_context(Ledger.open())
        workdir = plan.folder / "logs"
        workdir.mkdir()
        self._target = target = registry.targets().get(plan.target)()
        self.progress.phase("bring up")
        self._ledger.begin(
            RunRow(plan.id, process.current(), plan.target, {}, plan.folder.resolve(), started=time.time())
        )
        options = TargetOptions(
            seed=plan.seed, scale=plan.scale, settings=plan.settings, ports=plan.ports, workdir=workdir
        )
        await self._or_stop(target.up(options, self.progress.say))
        self._ledger.recover_with(plan.id, target.recovery())
        self._start()

    def _start(self) -> None:
        assert self._target is not None  # noqa: S101 - the order of `open`
        target, load = self._target, self.experiment.load
        self.clock = RunClock()
        self._system = LiveSystem(target, self._ledger, self.plan.id, clock=self.clock, on_error=self._trouble)
        self.info = run_info(self.plan, started_at=self.clock.started_at)
        self._writer = EvidenceWriter(self.plan.evidence, self.info)
        self.recording.sink = self._writer
        self._stack.push_async_callback(self._writer.stop)
        self._writer.start()
        client = httpx.AsyncClient(timeout=2.0, trust_env=False)
        self._stack.push_async_callback(client.aclose)
        door = target.door()
        asker = Asker(door.url, load, record=self.recording, clock=self.clock)
        self._stack.push_async_exit(asker)
        for source in target.sources():
            if source.kind == "breaker-events":
                self._own(follow_breakers(source, client=client, clock=self.clock, add=self.recording.add_transition))
            else:
                self._own(follow_metrics(source, client=client, clock=self.clock, add=self.recording.add_sample))
        self._own(follow_links(target, clock=self.clock, add=self.recording.add_sample))
        self._own(follow_usage(target, clock=self.clock, add=self.recording.add_sample))
        probes = registry.probes().get
        if self.experiment.abort and self.plan.heed_aborts:
            self._own(
                watch_aborts(self.experiment.abort, self.recording, probes=probes, clock=self.clock, abort=self.stop)
            )
        self._own(self._tick())
        self._load = self._own(
            offer(
                load,
                questions=target.questions(load.questions),
                callers=door.callers,
                until=self.experiment.duration,
                clock=self.clock,
                rng=random.Random(self.plan.seed),  # noqa: S311 - reproducible, not secret
                ask=asker.ask,
            )
        )
        self._phase("steady state", 0.0, self.experiment.first_fault)

    @property
    def started(self) -> bool:
        """Whether the load was ever on; before that there is nothing to judge."""
        return self._writer is not None

    # -- the method ----------------------------------------------------------------------------------------------

    async def steady_state(self) -> Sequence[Judged]:
        """Wait for the first fault's time and judge the steady state up to it."""
        await self._until(self.experiment.first_fault)
        now = self.clock.now()
        so_far = self.recording.as_of(now, patience=PATIENCE)
        return judge_block(self.experiment, so_far, "steady-state before", probes=registry.probes().get, end=now)

    async def inject(self, index: int) -> str:
        """Wait for the step's time and enter its fault; says when it was really on."""
        step = self.experiment.method[index]
        on: asyncio.Future[float] = asyncio.get_running_loop().create_future()
        task = self._own(self._play(step, on))
        self._plays[index] = task
        waited: set[asyncio.Future[Any]] = {task, on}
        await asyncio.wait(waited, return_when=asyncio.FIRST_COMPLETED)
        if not on.done():
            on.cancel()
            raise self._stopped() if self._stop.is_set() else BrownoutError(f"{step.title} could not be injected")
        return f"on since {on.result():.3f} s of the run"

    async def withdraw(self, index: int) -> str:
        """Wait until the step's fault is really off; says when that was."""
        await asyncio.wait({self._plays[index]})
        span = next((fault for fault in self.recording.faults if fault.index == index), None)
        if span is None or span.off is None:
            msg = f"{self.experiment.method[index].title} could not be healed"
            raise BrownoutError(msg)
        return f"off since {span.off:.3f} s of the run"

    async def _play(self, step: Step, on: asyncio.Future[float]) -> None:
        # One task enters and leaves: a fault may hold a task group across its `yield`.
        assert self._system is not None  # noqa: S101 - only played after `open`
        spans: dict[str, BrokenSpan] = {}
        system = self._system.watched(lambda span: spans.update({span.lease: span}))
        with contextlib.suppress(Stopped):
            await self._until(step.at)
            entered = False
            try:
                async with registry.faults().get(step.fault)(system, **step.arguments):
                    entered = True
                    # From the first moment on which something was broken: a breaker may be quicker than we are.
                    now = min((span.on for span in spans.values()), default=self.clock.now())
                    self.recording.fault_on(step.index, step.fault, step.title, now)
                    self._phase("method", now, self.experiment.last_heal)
                    self.progress.note(now, f"{step.title}: on")
                    if not on.cancelled():
                        on.set_result(now)
                    with contextlib.suppress(Stopped):
                        await self._until(step.end)
            except BrownoutError as error:
                self._trouble(f"{step.title}: {error}")
            finally:
                if entered:
                    now = max((span.off or 0.0 for span in spans.values()), default=0.0) or self.clock.now()
                    self.recording.fault_off(step.index, now, _together([one.proof for one in spans.values()]))
                    self.progress.note(now, f"{step.title}: healed")

    async def recover(self) -> str:
        """Keep the load on until the end of the run and the last answers are in."""
        self._phase("recovery", self.clock.now(), self.experiment.duration)
        await self._until(self.experiment.duration)
        self._end = self.experiment.duration
        if self._load is not None:
            await self._or_stop(asyncio.shield(asyncio.wait({self._load})))
        return f"{len(self.recording.requests)} requests recorded"

    # -- stopping ------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End the run at once: every wait returns, every fault is healed. The first reason is kept."""
        if self._stop.is_set():
            return
        self.aborted = reason
        self.recording.add_event(Event(self.clock.now(), "abort", reason))
        self.progress.note(self.clock.now(), f"ABORTED: {reason}")
        self._stop.set()

    async def heal(self) -> str:
        """Heal whatever is still broken; returns when it is."""
        held = [task for task in self._plays.values() if not task.done()]
        if not held:
            return "nothing was left to heal"
        self.stop("the run was ended before its faults were")
        await asyncio.wait(held)
        return f"{len(held)} fault(s) healed"

    async def close(self) -> Judgement:
        """Heal, judge, write the evidence, and end everything that this run started. Never raises a BrownoutError."""
        if self._end is None:
            self._end = self.clock.now()
        await self.heal()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._down()
        judgement = self.judgement()
        if self._writer is not None:
            await self._writer.close(judgement)
            if self._unwritten is not None:
                # A file that is not complete takes the green away, even where it is the verdict that is missing.
                judgement = self.judgement()
        await self._stack.aclose()
        return judgement

    async def _down(self) -> None:
        self.progress.phase("tear down")
        try:
            if self._target is not None:
                await self._target.down()
                self._ledger.end(self.plan.id)
        except BrownoutError as error:
            self._trouble(f"tearing down: {error}")

    # -- judging -------------------------------------------------------------------------------------------------

    def judgement(self) -> Judgement:
        """The verdict on what has been recorded so far."""
        return judge(
            self.experiment,
            self.recording,
            probes=registry.probes().get,
            aborted=self.aborted,
            errors=[*self.errors, *([self._unwritten] if self._unwritten else [])],
            end=self.clock.now() if self._end is None else self._end,
        )

    def judge_block(self, block: Block) -> Sequence[Judged]:
        """The verdicts of one block alone, as things stand."""
        end = self.clock.now() if self._end is None else self._end
        return judge_block(self.experiment, self.recording, block, probes=registry.probes().get, end=end)

    @property
    def _unwritten(self) -> str | None:
        failure = None if self._writer is None else self._writer.failed
        return None if failure is None else f"the evidence is not complete: {failure}"

    # -- small things --------------------------------------------------------------------------------------------

    def _own(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(f"{type(error).__name__}: {error}")

    def _trouble(self, what: str) -> None:
        self.errors.append(what)
        self.recording.add_event(Event(self.clock.now(), "error", what))
        self.progress.note(self.clock.now(), f"TROUBLE: {what}")

    def _phase(self, name: str, start: float, end: float) -> None:
        self.recording.add_event(Event(start, "phase", name))
        self.progress.phase(name, start=start, end=end)

    async def _tick(self) -> None:
        while True:
            await self.clock.sleep_until(self.clock.now() + 0.5)
            self.progress.tick(live_stats(self.experiment, self.recording, self.clock.now()))

    async def _until(self, at: float) -> None:
        await self._or_stop(self.clock.sleep_until(at))

    async def _or_stop(self, work: Awaitable[T]) -> T:
        task = asyncio.ensure_future(work)
        stop = asyncio.ensure_future(self._stop.wait())
        try:
            await asyncio.wait({task, stop}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            raise self._stopped()
        finally:
            stop.cancel()
            if not task.done():
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task

    def _stopped(self) -> Stopped:
        return Stopped(self.aborted or "stopped")


def _together(found: Sequence[Proof | None]) -> Proof | None:
    """One proof of a fault that broke several places: it works where each of them does. None where one is missing."""
    proofs = [proof for proof in found if proof is not None]
    if not proofs or len(proofs) < len(found):
        return None
    if len(proofs) == 1:
        return proofs[0]
    figures = {f"{index}.{name}": value for index, proof in enumerate(proofs) for name, value in proof.figures.items()}
    return Proof(all(proof.works for proof in proofs), "; ".join(proof.summary for proof in proofs), figures)
