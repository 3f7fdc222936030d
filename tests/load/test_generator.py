import asyncio
import random
from collections.abc import Coroutine
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.clock import RunClock
from brownout.experiment import Load
from brownout.load import arrivals, offer
from brownout.target import Caller, Question
from brownout.units import Rate

QUESTIONS = [Question("q1", "acme", "one?"), Question("q2", "umbra", "two?")]
CALLERS = [Caller("acme", "pro", "a"), Caller("umbra", "free", "u")]


class FakeClock:
    """Time passes only where it is slept."""

    def __init__(self) -> None:
        self.time = 0.0

    def now(self) -> float:
        return self.time

    async def sleep_until(self, at: float) -> None:
        await asyncio.sleep(0)
        self.time = max(self.time, at)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(work)


@given(rate=st.floats(0.5, 200), seed=st.integers(0, 2**32), until=st.floats(0.1, 20))
def test_arrivals_are_ordered_within_the_run_and_the_same_for_a_seed(rate: float, seed: int, until: float) -> None:
    load = Load(rate=Rate(rate))

    times = list(arrivals(load, until=until, rng=random.Random(seed)))

    assert times == sorted(times)
    assert all(0 < at < until for at in times)
    assert times == list(arrivals(load, until=until, rng=random.Random(seed)))


def test_poisson_arrivals_have_the_stated_rate_and_are_not_evenly_spaced() -> None:
    times = list(arrivals(Load(rate=Rate(100)), until=100, rng=random.Random(1)))
    gaps = [b - a for a, b in pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)

    assert len(times) == pytest.approx(10_000, rel=0.05)
    # An exponential distribution's standard deviation is its mean.
    assert variance**0.5 == pytest.approx(mean, rel=0.1)


def test_constant_arrivals_are_evenly_spaced() -> None:
    times = list(arrivals(Load(rate=Rate(4), arrivals="constant"), until=1.1, rng=random.Random(1)))

    assert times == pytest.approx([0.25, 0.5, 0.75, 1.0])


def test_a_slow_answer_does_not_delay_the_next_question() -> None:
    clock, asked = FakeClock(), []

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        asked.append((intended, clock.now()))
        await asyncio.Event().wait()

    run(
        offer(
            Load(rate=Rate(10), arrivals="constant"),
            questions=QUESTIONS,
            callers=CALLERS,
            until=1.05,
            clock=clock,
            rng=random.Random(0),
            ask=ask,
            grace=0.01,
        )
    )

    assert [intended for intended, _ in asked] == pytest.approx([n / 10 for n in range(1, 11)])
    assert all(sent == pytest.approx(intended) for intended, sent in asked)


def test_a_generator_that_is_behind_still_lets_others_have_their_turn() -> None:
    # 1 ms of computing a question at 2000/s is twice what there is time for.
    turns: list[float] = []
    clock = RunClock()

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        until = clock.now() + 0.001
        while clock.now() < until:
            pass

    async def tick() -> None:
        while True:
            turns.append(clock.now())
            await asyncio.sleep(0.01)

    async def work() -> None:
        ticking = asyncio.create_task(tick())
        await offer(
            Load(rate=Rate(2000)),
            questions=QUESTIONS,
            callers=CALLERS,
            until=1,
            clock=clock,
            rng=random.Random(0),
            ask=ask,
        )
        ticking.cancel()

    run(work())

    # Without them it would have had one at the start and perhaps one at the end.
    assert len(turns) > 10


def test_every_question_is_asked_by_a_caller_of_its_tenant() -> None:
    pairs = set()

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        pairs.add((question.tenant, caller.tenant))

    run(
        offer(
            Load(rate=Rate(50)),
            questions=QUESTIONS,
            callers=CALLERS,
            until=2,
            clock=FakeClock(),
            rng=random.Random(0),
            ask=ask,
        )
    )

    assert pairs == {("acme", "acme"), ("umbra", "umbra")}


@pytest.mark.parametrize(
    ("questions", "callers", "message"),
    [(QUESTIONS, CALLERS[:1], "umbra"), ([], CALLERS, "no questions")],
)
def test_questions_that_nobody_may_ask_are_refused(
    questions: list[Question], callers: list[Caller], message: str
) -> None:
    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        raise AssertionError

    with pytest.raises(ValueError, match=message):
        run(
            offer(
                Load(),
                questions=questions,
                callers=callers,
                until=1,
                clock=FakeClock(),
                rng=random.Random(0),
                ask=ask,
            )
        )


def test_an_error_of_ours_while_asking_ends_the_load_loudly() -> None:
    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="a bug"):
        run(
            offer(
                Load(),
                questions=QUESTIONS,
                callers=CALLERS,
                until=10,
                clock=FakeClock(),
                rng=random.Random(0),
                ask=ask,
            )
        )
