"""When questions are asked, and which.

Open loop: the next question is sent when it is due, whether or not earlier ones were answered, and each is timed from
the moment it was due. A generator that waits for answers stops asking exactly when the system is at its worst
(coordinated omission).
"""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterator, Sequence

from brownout.clock import Clock
from brownout.experiment import Load
from brownout.target import Caller, Question

Ask = Callable[[int, float, Question, Caller], Awaitable[None]]
"""Asks one question: (number of the request, intended send time, question, caller)."""


def arrivals(load: Load, *, until: float, rng: random.Random) -> Iterator[float]:
    """Send times in seconds of the run, from 0 to `until`: a Poisson process, or evenly spaced."""
    at = 0.0
    while True:
        at += rng.expovariate(load.rate) if load.arrivals == "poisson" else 1 / load.rate
        if at >= until:
            return
        yield at


async def offer(
    load: Load,
    *,
    questions: Sequence[Question],
    callers: Sequence[Caller],
    until: float,
    clock: Clock,
    rng: random.Random,
    ask: Ask,
    grace: float = 3.0,
) -> None:
    """Offer the load until that time of the run, then wait up to `grace` seconds for the last answers.

    Every question is put by a caller of its own tenant. Unanswered requests are cancelled at the end; `ask` records
    them as given up.

    Raises:
        ValueError: a question's tenant has no caller.
    """
    by_tenant: dict[str, list[Caller]] = {}
    for caller in callers:
        by_tenant.setdefault(caller.tenant, []).append(caller)
    strangers = {question.tenant for question in questions} - by_tenant.keys()
    if strangers or not questions:
        msg = f"no caller for tenant {', '.join(sorted(strangers))}" if strangers else "there are no questions to ask"
        raise ValueError(msg)

    running: set[asyncio.Task[None]] = set()
    failed: list[BaseException] = []

    def finished(task: asyncio.Task[None]) -> None:
        running.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            failed.append(error)

    try:
        for number, at in enumerate(arrivals(load, until=until, rng=rng), start=1):
            question = questions[rng.randrange(len(questions))]
            caller = rng.choice(by_tenant[question.tenant])
            await clock.sleep_until(at)
            # A generator that is behind never waits; abort conditions and leases must have their turn all the same.
            await asyncio.sleep(0)
            task = asyncio.ensure_future(ask(number, at, question, caller))
            running.add(task)
            task.add_done_callback(finished)
            if failed:
                break
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
