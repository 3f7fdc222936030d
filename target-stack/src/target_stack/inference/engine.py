"""The engine's loop: one step after another on the clock, and each new token told to whoever waits for it.

While there is nothing to do it waits for work, without a timer. What the model says is known beforehand, so the engine
only counts tokens: which token comes next does not depend on who was preempted, as with a real model at temperature 0.
"""

import asyncio
import random
from typing import Self

from target_stack.clock import Clock
from target_stack.inference.metrics import WorkerMetrics
from target_stack.inference.pace import Pace
from target_stack.inference.scheduler import Phase, Scheduler, Sequence, Step
from target_stack.log import log

__all__ = ["Engine", "EngineDeadError", "Generation", "RejectedError"]

RETRY_S = 0.02
"""Between two attempts to get memory, while nothing can be computed."""
CATCH_UP_S = 0.02
"""Late wake-ups are made up for; a process that was stopped for longer than this has lost that time."""


class RejectedError(Exception):
    """The memory that this request needed was refused; the engine goes on."""

    def __init__(self) -> None:
        super().__init__("Out of memory: no KV cache could be allocated for this request.")


class EngineDeadError(Exception):
    """The engine has stopped for good. The words are vLLM's."""

    def __init__(self) -> None:
        super().__init__("EngineCore encountered an issue. See stack trace (above) for the root cause.")


class Generation:
    """One request in the engine. Leaving its block ends it there, whole or not."""

    def __init__(self, engine: "Engine", sequence: Sequence, *, now: float, finish_reason: str) -> None:
        self.sequence = sequence
        self.finish_reason = finish_reason
        self.arrived_at = self.last_at = now
        self._engine = engine
        self._news = asyncio.Event()
        self._failure: Exception | None = None
        self._told = 0

    async def progress(self) -> int:
        """Wait for more tokens; return how many there are now, those from before included.

        Raises RejectedError or EngineDeadError when there will be no more of them.
        """
        while self.sequence.produced == self._told:
            if self._failure is not None:
                raise self._failure
            self._news.clear()
            await self._news.wait()
        self._told = self.sequence.produced
        return self._told

    def tell(self, failure: Exception | None = None) -> None:
        """Wake who waits: there is a token, or there will be none."""
        self._failure = failure
        self._news.set()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._engine.abandon(self)


class Engine:
    """Runs the scheduler's steps. `source` gives the spread of their durations."""

    def __init__(
        self, scheduler: Scheduler, pace: Pace, clock: Clock, source: random.Random, metrics: WorkerMetrics
    ) -> None:
        self.dead = False
        self._scheduler = scheduler
        self._pace = pace
        self._clock = clock
        self._source = source
        self._metrics = metrics
        self._generations: dict[Sequence, Generation] = {}
        self._work = asyncio.Event()

    def submit(self, *, prompt_tokens: int, output_tokens: int, finish_reason: str) -> Generation:
        """Queue a request; raise EngineDeadError."""
        if self.dead:
            raise EngineDeadError
        sequence = Sequence(prompt_tokens=prompt_tokens, output_tokens=output_tokens)
        generation = Generation(self, sequence, now=self._clock.monotonic(), finish_reason=finish_reason)
        self._generations[sequence] = generation
        self._scheduler.add(sequence)
        self._work.set()
        return generation

    def abandon(self, generation: Generation) -> None:
        """End a request whose answer nobody wants any more. One that has ended stays as it is."""
        if self._generations.pop(generation.sequence, None) is not None:
            self._scheduler.abort(generation.sequence)
            self._metrics.finished.labels("abort").inc()

    async def run(self) -> None:
        """Compute until the engine dies: of refused memory where that is fatal, or of whatever else goes wrong."""
        try:
            self._scheduler.probe()
            await self._compute()
        except Exception as error:  # as vLLM's loop: nothing that ends it may leave requests waiting for ever
            self.dead = True
            log.error("engine died", extra={"error": type(error).__name__, "reason": str(error)})
            for sequence in list(self._generations):
                self._fail(sequence, EngineDeadError())

    async def _compute(self) -> None:
        due = self._clock.monotonic()
        while True:
            if self._scheduler.idle:
                self._work.clear()
                await self._work.wait()
                due = self._clock.monotonic()
            step = self._scheduler.schedule()
            now = self._clock.monotonic()
            self._note(step, now)
            due = now + RETRY_S if step.empty else max(due, now - CATCH_UP_S) + self._pace.duration(step, self._source)
            await asyncio.sleep(max(due - now, 0))
            self._deliver(self._scheduler.complete(step))

    def _note(self, step: Step, now: float) -> None:
        metrics = self._metrics
        metrics.preemptions.inc(len(step.preempted))
        metrics.out_of_memory.inc(step.out_of_memory)
        for sequence in step.rejected:
            self._fail(sequence, RejectedError())
        for sequence in step.prefill:
            if not sequence.produced and not sequence.preemptions:
                metrics.prompt_tokens.inc(sequence.prompt_tokens)
                metrics.queue_time.observe(now - self._generations[sequence].arrived_at)

    def _deliver(self, sequences: list[Sequence]) -> None:
        now = self._clock.monotonic()
        metrics = self._metrics
        metrics.generation_tokens.inc(len(sequences))
        for sequence in sequences:
            generation = self._generations[sequence]
            histogram = metrics.time_to_first_token if sequence.produced == 1 else metrics.inter_token_latency
            histogram.observe(now - generation.last_at)
            generation.last_at = now
            if sequence.phase is Phase.ENDED:
                del self._generations[sequence]
                metrics.finished.labels(generation.finish_reason).inc()
                metrics.latency.observe(now - generation.arrived_at)
            generation.tell()

    def _fail(self, sequence: Sequence, failure: Exception) -> None:
        self._metrics.finished.labels("error").inc()
        self._generations.pop(sequence).tell(failure)
