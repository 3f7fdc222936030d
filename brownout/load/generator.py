"""When questions are asked, and which.

Open loop: the next question is sent when it is due, whether or not earlier ones were answered, and each is timed from
the moment it was due. A generator that waits for answers stops asking exactly when the system is at its worst
(coordinated omission).
"""

import asyncio
import heapq
import random
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from brownout.clock import Clock
from brownout.errors import InvalidInput, shown
from brownout.experiment import Load
from brownout.target import Caller, Question

Ask = Callable[[int, float, Question, Caller], Awaitable[None]]
"""Asks one question: (number of the request, intended send time, question, caller)."""


@dataclass(frozen=True, slots=True)
class Stream:
    """One stream of load, ready to be offered. What it asks, whom and when depends on no other stream."""

    load: Load
    questions: Sequence[Question]
    callers: Mapping[str, Sequence[Caller]]
    """By tenant; every question's tenant has one."""
    rng: random.Random
    ask: Ask

    @classmethod
    def of(
        cls, load: Load, *, questions: Sequence[Question], callers: Sequence[Caller], seed: int, ask: Ask
    ) -> "Stream":
        """The stream of that load: its questions, each put by a caller of its own tenant.

        Raises:
            InvalidInput: there is nothing for it to ask, or nobody to ask it.
        """
        which = "" if load.name is None else f" {shown(load.name)}"
        asked = [one for one in questions if load.tenant in (None, one.tenant)]
        by_tenant: dict[str, list[Caller]] = {}
        for caller in callers:
            if load.tier in (None, caller.tier):
                by_tenant.setdefault(caller.tenant, []).append(caller)
        if not asked:
            of = "" if load.tenant is None else f" of tenant {shown(load.tenant)}"
            msg = f"load{which}: there are no questions{of} to ask in {shown(load.questions)}"
            raise InvalidInput(msg)
        if strangers := {one.tenant for one in asked} - by_tenant.keys():
            of = "" if load.tier is None else f" of tier {shown(load.tier)}"
            msg = f"load{which}: no caller{of} for tenant {', '.join(sorted(strangers))}"
            raise InvalidInput(msg)
        # By its name and not by its place, so that it stays what it is when others come or go before it.
        rng = random.Random(seed if load.name is None else f"{seed} {load.name}")  # noqa: S311 - reproducible, not secret
        return cls(load, asked, by_tenant, rng, ask)


@dataclass(frozen=True, slots=True)
class _Due:
    at: float
    question: Question
    caller: Caller
    ask: Ask


def arrivals(load: Load, *, until: float, rng: random.Random) -> Iterator[float]:
    """Send times in seconds of the run, from when the load begins to its end or `until`: a Poisson process, or even."""
    at, until = float(load.at), min(load.end, until)
    while True:
        at += rng.expovariate(load.rate) if load.arrivals == "poisson" else 1 / load.rate
        if at >= until:
            return
        yield at


async def offer(streams: Sequence[Stream], *, until: float, clock: Clock, grace: float) -> None:
    """Offer the load until that time of the run, then wait up to `grace` seconds for the last answers.

    Unanswered requests are cancelled at the end; `ask` records them as given up. What `ask` raises ends it at once.
    """
    running: set[asyncio.Task[None]] = set()
    failed: list[BaseException] = []

    def finished(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failed.append(error)

    try:
        all_due = heapq.merge(*(_due(stream, until=until) for stream in streams), key=attrgetter("at"))
        for number, due in enumerate(all_due, start=1):
            await clock.sleep_until(due.at)
            # A generator that is behind never waits; abort conditions and leases must have their turn all the same.
            await asyncio.sleep(0)
            task = asyncio.ensure_future(due.ask(number, due.at, due.question, due.caller))
            running.add(task)
            task.add_done_callback(finished)
            if failed:
                raise failed[0]
        await clock.sleep_until(until)
        if running:
            await asyncio.wait(set(running), timeout=grace)
    finally:
        for task in set(running):
            task.cancel()
        if running:
            await asyncio.wait(set(running))
    if failed:
        raise failed[0]


def _due(stream: Stream, *, until: float) -> Iterator[_Due]:
    for at in arrivals(stream.load, until=until, rng=stream.rng):
        question = stream.questions[stream.rng.randrange(len(stream.questions))]
        yield _Due(at, question, stream.rng.choice(stream.callers[question.tenant]), stream.ask)
