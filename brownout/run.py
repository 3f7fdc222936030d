"""One run, from bringing the target up to the verdict. Asynchronous; whoever drives it says when to turn to what.

Driven by the Chaos Toolkit's engine through `brownout.toolkit.bridge`. Whatever fails on the way that is not the
system's own doing (a recorder, an injection, a heal) is kept in `errors`: with one of those no verdict is `passed`.
"""

import asyncio
import contextlib
import functools
import time
from collections.abc import Coroutine, Iterator, Sequence
from typing import Any

from brownout import process, registry
from brownout.clock import RunClock
from brownout.errors import BrownoutError, said
from brownout.evidence.model import Event
from brownout.evidence.recording import Recording
from brownout.evidence.store import EvidenceWriter
from brownout.experiment import Block
from brownout.fit import prepare
from brownout.halt import Halt
from brownout.injection import LiveSystem
from brownout.judge import Judged, Judgement, judge, judge_block
from brownout.ledger import Ledger, RunRow
from brownout.method import Method
from brownout.plan import RunPlan
from brownout.prometheus.beside import Beside, prometheus_beside
from brownout.recorders import recorders_of
from brownout.report.progress import Progress
from brownout.runinfo import run_info
from brownout.state import hold_target
from brownout.target import Target, TargetOptions
from brownout.targets import chosen, registered
from brownout.traffic import MAX_LATENESS, Traffic
from brownout.trust import plain_client
from brownout.units import format_seconds
from brownout.watch import live_stats, patience_of, watch_aborts

CANCEL_AGAIN = 1.0
"""Seconds after which a task that was cancelled and goes on is cancelled again."""


class Run:
    """See the module. Use: `open`, `steady_state`, `inject`/`withdraw` for each step, `recover`, `close`."""

    def __init__(self, plan: RunPlan, *, progress: Progress) -> None:
        self.plan = plan
        self.experiment = plan.experiment
        self.progress = progress
        self.recording = Recording()
        self.errors: list[str] = []
        self.halt = Halt()
        self.clock = RunClock()
        self.info = run_info(plan, started_at=self.clock.started_at)
        self._target: Target | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._method: Method | None = None
        self._ledger: Ledger | None = None
        self._closing: asyncio.Future[Judgement] | None = None
        self._traffic: Traffic | None = None
        self._load: list[asyncio.Task[None]] = []
        self._end: float | None = None
        self._stack = contextlib.AsyncExitStack()
        self._writer: EvidenceWriter | None = None
        self._prometheus: Beside | None = None

    # -- bringing up ---------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Bring the target up, then start clock, evidence, recorders and load.

        Raises:
            BrownoutError: it cannot be; what had been started is ended by `close`.
        """
        plan = self.plan
        self._stack.enter_context(hold_target(plan.target, plan.instance, plan.id))
        self._ledger = ledger = self._stack.enter_context(Ledger.open())
        workdir = plan.folder / "logs"
        workdir.mkdir()
        self._target = target = chosen(plan.target, attachment=plan.attachment, proxy=plan.proxy)()
        self.progress.phase("bring up")
        name, folder = registered(plan.target), plan.folder.resolve()
        ledger.begin(RunRow(plan.id, process.current(), name, {}, folder, started=time.time()))
        options = TargetOptions(
            seed=plan.seed, scale=plan.scale, settings=plan.settings, ports=plan.ports, workdir=workdir
        )
        await self.halt.unless(target.up(options, self.progress.say))
        ledger.recover_with(plan.id, target.recovery())
        await self.halt.unless(prepare(self.experiment, target, self.progress.say))
        if plan.prometheus is not None:
            self.progress.say("waiting for Prometheus")
            beside = prometheus_beside(plan.prometheus, target.sources(), workdir)
            self._prometheus = await self.halt.unless(self._stack.enter_async_context(beside))
        self._start(target, ledger)

    def _start(self, target: Target, ledger: Ledger) -> None:
        self.clock = RunClock()
        self._method = Method(
            self.experiment.method,
            system=LiveSystem(
                target, ledger, self.plan.id, clock=self.clock, seed=self.plan.seed, on_error=self._trouble
            ),
            recording=self.recording,
            clock=self.clock,
            halt=self.halt,
            note=self.progress.note,
            trouble=self._trouble,
        )
        self.info = run_info(self.plan, started_at=self.clock.started_at)
        self._writer = EvidenceWriter(self.plan.evidence, self.info)
        self.recording.sink = self._writer
        self._writer.start()
        client = plain_client()
        self._stack.push_async_callback(client.aclose)
        self._traffic = traffic = Traffic(
            target,
            self.experiment,
            recording=self.recording,
            clock=self.clock,
            seed=self.plan.seed,
            note=self.progress.note,
        )
        self._stack.push_async_callback(traffic.aclose)
        for recorder in recorders_of(target, self.recording, client=client, clock=self.clock):
            self._own(recorder)
        if self._prometheus is not None:
            for work in self._prometheus.tasks(add=self.recording.add_sample, clock=self.clock):
                self._own(work)
        probes = registry.probes().get
        if self.experiment.abort and self.plan.heed_aborts:
            self._own(
                watch_aborts(
                    self.experiment.abort,
                    self.recording,
                    probes=probes,
                    clock=self.clock,
                    abort=self.stop,
                    patience=patience_of(self.experiment),
                ),
                vital=True,
            )
        self._own(target.watch(), vital=True)
        self._own(self._tick())
        self._load = [self._own(part, vital=True) for part in traffic.parts()]
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
        so_far = self.recording.as_of(now, patience=patience_of(self.experiment))
        return judge_block(self.experiment, so_far, "steady-state before", probes=registry.probes().get, end=now)

    async def inject(self, index: int) -> str:
        """Wait for the step's time and enter its fault; says when it was really on."""
        if not self._playing().began:
            self._phase("method", self.clock.now(), self.experiment.last_heal)
        return await self._playing().inject(index)

    async def withdraw(self, index: int) -> str:
        """Wait until the step's fault is really off; says when that was."""
        return await self._playing().withdraw(index)

    async def recover(self) -> str:
        """Keep the load on until the end of the run and the last answers are in."""
        if self._traffic is not None and self.experiment.spikes:
            self._phase("spike", self.clock.now(), self.experiment.last_heal)
            for spike in self._traffic.spikes():
                self._own(spike, vital=True)
            await self._until(self.experiment.last_heal)
        self._phase("recovery", self.clock.now(), self.experiment.duration)
        await self._until(self.experiment.duration)
        self._end = self.experiment.duration
        if self._load:
            await self.halt.unless(asyncio.wait(self._load))
        if self._traffic is not None:
            await self.halt.unless(self._count(self._traffic))
        return f"{len(self.recording.requests)} requests recorded"

    async def _count(self, traffic: Traffic) -> None:
        if (untold := await traffic.take_stock()) is not None:
            # The system's own doing: the probes say that they cannot tell.
            self.recording.add_event(Event(self.clock.now(), "note", untold))

    # -- stopping ------------------------------------------------------------------------------------------------

    def stop(self, reason: str) -> None:
        """End the run at once: every wait returns, every fault is healed. The first reason is kept.

        A run that is over, and only torn down still, is not aborted any more.
        """
        if self._closing is None and self.halt(reason):
            self.recording.add_event(Event(self.clock.now(), "abort", reason))
            self.progress.note(self.clock.now(), f"ABORTED: {reason}")

    async def heal(self) -> str:
        """Heal whatever is still broken; returns when it is."""
        if self._method is None:
            return "nothing was started"
        if self._method.pending:
            self.stop("the run was ended before its faults were")
        healed = await self._method.heal()
        return f"{healed} fault(s) healed" if healed else "nothing was left to heal"

    async def close(self) -> Judgement:
        """Heal, judge, write the evidence, and end everything that this run started; once. Raises nothing: whatever
        fails on the way is one of the `errors`, and the verdict is not green."""
        if self._closing is None:
            self._closing = asyncio.ensure_future(self._close())
        return await asyncio.shield(self._closing)

    async def _close(self) -> Judgement:
        if self._end is None:
            self._end = self.clock.now()
        if self.started:
            self._check_lateness()
        with self._guarded("healing"):
            await self.heal()
        if self._prometheus is not None and self.started:
            with self._guarded("asking Prometheus for its figures"):
                await self._prometheus.cross_check(
                    self.experiment, self.recording, started_at=self.clock.started_at, end=self._end
                )
        if self._traffic is not None and self._end < self.experiment.duration:
            self._traffic.abandon()
        pending = set(self._tasks)
        while pending:
            # Again and again: a target of a user's own may swallow a cancellation, as libraries do by mistake.
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=CANCEL_AGAIN)
        if self._target is not None:
            self.progress.phase("tear down")
        down = False
        with self._guarded("tearing down"):
            if self._target is not None:
                await self._target.down()
                down = True
        with self._guarded("closing the ledger"):
            # What could not be taken down is left to `chaos heal`, which finds it in the ledger.
            if down and self._ledger is not None:
                self._ledger.end(self.plan.id)
        with self._guarded("closing"):
            await self._stack.aclose()
        # Nothing is left that could fail but the evidence itself: what is written is what is returned.
        if self._writer is None:
            return self.judgement()
        await self._writer.flush()
        judgement = self.judgement()
        await self._writer.close(judgement)
        with self._guarded("closing the evidence"):
            await self._writer.stop()
        # Where the verdict could not be written, the file has none, and this one is not green either.
        return judgement if self._writer.failed is None else self.judgement()

    @contextlib.contextmanager
    def _guarded(self, what: str) -> Iterator[None]:
        # Whatever is raised here, by a target of a user's own perhaps, must neither skip the rest nor stay unsaid.
        try:
            yield
        except Exception as error:
            self._trouble(f"{what}: {said(error)}")

    def _check_lateness(self) -> None:
        """A load generator that cannot keep up makes the system look slow, so its figures are no evidence."""
        by_load: dict[str | None, list[float]] = {}
        for request in self.recording.requests:
            by_load.setdefault(request.load, []).append(request.sent - request.intended)
        # Of each stream by itself: a spike that was none must not hide behind what was sent before and after it.
        latest = {name: sorted(late)[int(len(late) * 0.95)] for name, late in by_load.items()}
        name = max(latest, key=lambda name: latest[name], default=None)
        if name in latest and latest[name] > MAX_LATENESS:
            of = "" if name is None else f" of load {name!r}"
            self._trouble(
                f"the load was sent late (p95 {format_seconds(latest[name])}{of}): this machine cannot offer "
                f"{self.experiment.peak_rate():g} requests/s beside the system under test"
            )

    # -- judging -------------------------------------------------------------------------------------------------

    def judgement(self) -> Judgement:
        """The verdict on what has been recorded so far."""
        return judge(
            self.experiment,
            self.recording,
            probes=registry.probes().get,
            aborted=self.halt.reason,
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

    def _playing(self) -> Method:
        if self._method is None:
            msg = "the run has not been opened"
            raise BrownoutError(msg)
        return self._method

    # -- small things --------------------------------------------------------------------------------------------

    def _own(self, work: Coroutine[Any, Any, None], *, vital: bool = False) -> asyncio.Task[None]:
        """Own a task until `close`. Where a vital one fails, the run is stopped: it would go on unguarded."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(functools.partial(self._ended, vital=vital))
        return task

    def _ended(self, task: asyncio.Task[None], *, vital: bool) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._trouble(said(error))
            if vital:
                self.stop(f"a part of Brownout failed: {said(error)}")

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
        await self.halt.unless(self.clock.sleep_until(at))
