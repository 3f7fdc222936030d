"""What a run puts on its target: streams of questions, documents that are written, spikes that come and go."""

import asyncio
import functools
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from brownout.clock import RunClock
from brownout.evidence.model import Event, KnownDocument, KnownQuestion, Proof
from brownout.evidence.recording import Recording
from brownout.experiment import WRITES, Experiment, Load
from brownout.load import Asker, CitedSentences, ExpectedFacts, Grader, Stream, Writer, offer
from brownout.load.order import Order
from brownout.target import (
    Document,
    KnowsDocuments,
    LoadsFromElsewhere,
    NotAcknowledged,
    Question,
    TakesDocuments,
    Target,
)

SPIKE_AT_LEAST = 0.5
"""Of the requests that a spike is meant to have: with fewer, by chance or for want of power, it was none."""
MAX_LATENESS = 0.25
"""Seconds by which 95 % of the questions may be sent later than they were due; beyond it the load is another load."""
STOCK_TAKING = 10.0
"""Seconds that the system has to tell what it holds of what was written."""
Note = Callable[[float, str], None]


class Traffic:
    """All load of one run: `parts` are run side by side until the run's end. To be closed."""

    def __init__(
        self, target: Target, experiment: Experiment, *, recording: Recording, clock: RunClock, seed: int, note: Note
    ) -> None:
        """Raises `InvalidInput` where a stream has nothing to ask, or nobody to ask it."""
        self._experiment = experiment
        self._recording = recording
        self._clock = clock
        self._note = note
        self._stack = AsyncExitStack()
        self._door = target.door()
        callers = self._door.callers
        documents = target.documents() if isinstance(target, KnowsDocuments) else ()
        self._remote = target.load_from() if isinstance(target, LoadsFromElsewhere) else None
        self._seed = seed
        self._questions = asked = {load.questions: target.questions(load.questions) for load in experiment.load}
        # Two sets may have questions in common.
        questions = {one.id: one for each in asked.values() for one in each}.values()
        recording.know(
            [KnownDocument(one.id, one.tenant) for one in documents],
            [KnownQuestion(one.id, one.tenant, one.sources) for one in questions if one.sources is not None],
        )
        self._cited = CitedSentences(documents) if documents else None
        facts = any(one.facts for one in questions)
        self._grade: Grader | None = self._cited or (ExpectedFacts() if facts else None)
        self._askers = [self._asker(load) for load in experiment.load]
        self._streams = [
            Stream.of(load, questions=asked[load.questions], callers=callers, seed=seed, ask=asker.ask)
            for load, asker in zip(experiment.load, self._askers, strict=True)
        ]
        self._writer: Writer | None = None
        if experiment.writes is not None and isinstance(target, TakesDocuments):
            reader = self._asker(replace(experiment.load[0], name=WRITES))
            self._askers.append(reader)
            self._writer = Writer(
                target,
                experiment.writes,
                callers=callers,
                record=recording,
                clock=clock,
                seed=seed,
                ask=reader.ask,
                learn=self._learn,
            )

    async def aclose(self) -> None:
        """Close every connection; what is under way must have ended."""
        await self._stack.aclose()

    def parts(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What is to run until the last answers are in."""
        # Every question ends by its own client's patience. To end it sooner would be to call slow answers lost.
        until, patience = self._experiment.duration, max(load.timeout for load in self._experiment.load)
        parts = [self._offer(until=until, grace=patience)]
        if self._writer is not None:
            parts.append(self._writer.run(until=until, grace=self._writer.timeout + patience))
        return parts

    def spikes(self) -> Sequence[Coroutine[Any, Any, None]]:
        """What is to run beside them, so that each spike is recorded as a fault is."""
        return [
            self._mark(index, spike, functools.partial(self._asked, self._experiment.load.index(spike)))
            for index, spike in enumerate(self._experiment.spikes)
        ]

    async def take_stock(self) -> str | None:
        """Count what the system holds of what was written; tells why it could not be counted, if so."""
        if self._writer is None:
            return None
        try:
            async with asyncio.timeout(STOCK_TAKING):
                await self._writer.take_stock()
        except (NotAcknowledged, TimeoutError) as problem:
            return f"what was written could not be counted: {str(problem) or 'no answer in time'}"
        return None

    def abandon(self) -> None:
        """The run ends early: see `Asker.abandon`."""
        for asker in self._askers:
            asker.abandon()
        if self._remote is not None:
            self._remote.abandon()

    async def _offer(self, *, until: float, grace: float) -> None:
        if self._remote is None:
            await offer(self._streams, until=until, clock=self._clock, grace=grace)
            return
        off = self._remote.uncertainty * 1e3
        told = f"the load comes from {self._remote.place}, whose clock is known to {off:.1f} ms"
        self._recording.add_event(Event(self._clock.now(), "note", told))
        self._note(self._clock.now(), told)
        order = Order(self._door, self._experiment.load, self._questions, self._seed, until, grace)
        await self._remote.offer(order, self._recording, clock=self._clock)

    def _asked(self, load: int) -> int:
        """How many questions of that load were sent."""
        name = self._experiment.load[load].name
        return self._askers[load].asked if self._remote is None else self._remote.asked[name]

    def _asker(self, load: Load) -> Asker:
        asker = Asker(
            self._door.url,
            load,
            record=self._recording,
            clock=self._clock,
            grade=self._grade,
            api=self._door.api,
        )
        self._stack.push_async_exit(asker)
        return asker

    def _learn(self, document: Document, question: Question) -> None:
        known = KnownQuestion(question.id, question.tenant, question.sources or ())
        self._recording.know([KnownDocument(document.id, document.tenant)], [known])
        if self._cited is not None:
            self._cited.learn(document)

    async def _mark(self, index: int, spike: Load, asked: Callable[[], int]) -> None:
        """Record a spike as a fault is recorded: what was sent proves it."""
        await self._clock.sleep_until(spike.at)
        self._recording.fault_on(index, "load", spike.title, self._clock.now())
        self._note(self._clock.now(), f"{spike.title}: on")
        await self._clock.sleep_until(spike.end)
        over = self._clock.now()
        # What is sent a little late still belongs to it.
        await self._clock.sleep_until(min(over + MAX_LATENESS, (over + self._experiment.duration) / 2))
        meant = spike.rate * (spike.for_ or 0.0)
        told = f"{asked()} requests were sent, of {meant:.0f} on average"
        proof = Proof(asked() >= meant * SPIKE_AT_LEAST, told, {"requests": float(asked())})
        self._recording.fault_off(index, over, proof)
        self._note(over, f"{spike.title}: over")
