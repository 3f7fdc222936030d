import asyncio
import random
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.clock import RunClock
from brownout.errors import InvalidInput
from brownout.experiment import Load
from brownout.load import Stream, arrivals, offer
from brownout.load.generator import Ask
from brownout.target import Caller, Question
from brownout.units import Duration, Rate

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


def stream(
    load: Load,
    ask: Ask,
    *,
    questions: Sequence[Question] = QUESTIONS,
    callers: Sequence[Caller] = CALLERS,
    seed: int = 0,
) -> Stream:
    return Stream.of(load, questions=questions, callers=callers, seed=seed, ask=ask)


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

    run(offer([stream(Load(rate=Rate(10), arrivals="constant"), ask)], until=1.05, clock=clock, grace=0.01))

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
        await offer([stream(Load(rate=Rate(2000)), ask)], until=1, clock=clock, grace=0.05)
        ticking.cancel()

    run(work())

    # Without them it would have had one at the start and perhaps one at the end.
    assert len(turns) > 10


def test_every_question_is_asked_by_a_caller_of_its_tenant() -> None:
    pairs = set()

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        pairs.add((question.tenant, caller.tenant))

    run(offer([stream(Load(rate=Rate(50)), ask)], until=2, clock=FakeClock(), grace=0.05))

    assert pairs == {("acme", "acme"), ("umbra", "umbra")}


@pytest.mark.parametrize(
    ("load", "questions", "callers", "message"),
    [
        (Load(), QUESTIONS, CALLERS[:1], "load: no caller for tenant umbra"),
        (Load(), [], CALLERS, "load: there are no questions to ask in 'golden'"),
        (
            Load(tenant="nobody"),
            QUESTIONS,
            CALLERS,
            "load: there are no questions of tenant 'nobody' to ask in 'golden'",
        ),
        (Load(name="spike", tier="free"), QUESTIONS, CALLERS, "load 'spike': no caller of tier 'free' for tenant acme"),
    ],
)
def test_questions_that_nobody_may_ask_are_refused(
    load: Load, questions: list[Question], callers: list[Caller], message: str
) -> None:
    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        raise AssertionError

    with pytest.raises(InvalidInput, match=message):
        stream(load, ask, questions=questions, callers=callers)


def test_an_error_of_ours_while_asking_ends_the_load_loudly_and_at_once() -> None:
    clock = FakeClock()

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        msg = "a bug"
        raise RuntimeError(msg)

    with pytest.raises(RuntimeError, match="a bug"):
        run(offer([stream(Load(), ask)], until=10, clock=clock, grace=0.05))
    assert clock.time < 1


EVERYBODY = [Caller(tenant, tier, "") for tenant in ("acme", "umbra") for tier in ("free", "pro")]
Asked = list[tuple[int, float, str, Caller]]


def asked(*loads: Load, until: float = 4.0, seed: int = 0) -> dict[str | None, Asked]:
    """What each stream asks when they are offered together."""
    found: dict[str | None, Asked] = {load.name: [] for load in loads}

    def asker(name: str | None) -> Ask:
        async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
            found[name].append((number, intended, question.id, caller))

        return ask

    streams = [stream(load, asker(load.name), callers=EVERYBODY, seed=seed) for load in loads]
    run(offer(streams, until=until, clock=FakeClock(), grace=0.05))
    return found


def plain(rows: Asked) -> list[tuple[float, str, Caller]]:
    """Without the numbers, which count the requests of all streams."""
    return [(at, question, caller) for _, at, question, caller in rows]


def test_a_spike_is_a_second_stream_that_begins_and_ends_while_the_first_goes_on() -> None:
    found = asked(
        Load(name="quiet", rate=Rate(20)), Load(name="spike", rate=Rate(200), at=Duration(1.0), for_=Duration(2.0))
    )

    times = [at for _, at, _, _ in found["spike"]]
    assert len(times) == pytest.approx(400, rel=0.2)
    assert min(times) > 1.0
    assert max(times) < 3.0
    quiet = [at for _, at, _, _ in found["quiet"]]
    assert min(quiet) < 1.0
    assert max(quiet) > 3.0
    numbers = sorted(number for rows in found.values() for number, *_ in rows)
    assert numbers == list(range(1, len(numbers) + 1))
    in_order = sorted((number, at) for rows in found.values() for number, at, _, _ in rows)
    assert [at for _, at in in_order] == sorted(at for _, at in in_order)


def test_a_stream_of_one_tier_and_one_tenant_has_only_their_callers() -> None:
    found = asked(Load(name="a", rate=Rate(50), tier="free"), Load(name="b", rate=Rate(50), tier="pro", tenant="umbra"))

    assert {caller.tier for *_, caller in found["a"]} == {"free"}
    assert {caller.tenant for *_, caller in found["a"]} == {"acme", "umbra"}
    assert {(caller.tenant, caller.tier) for *_, caller in found["b"]} == {("umbra", "pro")}


STREAMS = st.builds(
    Load,
    rate=st.floats(1, 50).map(Rate),
    arrivals=st.sampled_from(["poisson", "constant"]),
    tier=st.sampled_from([None, "free", "pro"]),
    at=st.floats(0, 3).map(Duration),
    for_=st.none() | st.floats(0.1, 3).map(Duration),
)


@given(one=STREAMS, others=st.lists(STREAMS, max_size=3), seed=st.integers(0, 2**32), first=st.booleans())
def test_what_a_stream_asks_does_not_depend_on_the_other_streams(
    one: Load, others: list[Load], seed: int, first: bool
) -> None:
    one = replace(one, name="one")
    others = [replace(other, name=f"other-{number}") for number, other in enumerate(others)]

    together = asked(*([one, *others] if first else [*others, one]), seed=seed)

    assert plain(together["one"]) == plain(asked(one, seed=seed)["one"])


@given(one=STREAMS, seed=st.integers(0, 2**32))
def test_two_streams_of_different_names_are_no_copies_and_a_later_start_only_shifts_one(one: Load, seed: int) -> None:
    one = replace(one, rate=Rate(40.0), arrivals="poisson", at=Duration(0.0), for_=Duration(2.0))

    found = asked(replace(one, name="a"), replace(one, name="b"), seed=seed)
    shifted = asked(replace(one, name="a", at=Duration(1.0)), seed=seed)["a"]

    assert plain(found["a"]) != plain(found["b"])
    assert [at for _, at, _, _ in shifted] == pytest.approx([at + 1.0 for _, at, _, _ in found["a"]])


@given(one=STREAMS, seed=st.integers(0, 2**32))
def test_every_question_of_a_stream_is_due_within_its_time(one: Load, seed: int) -> None:
    times = [at for _, at, _, _ in asked(one, until=4.0, seed=seed)[None]]

    assert times == sorted(times)
    assert all(one.at < at < min(one.end, 4.0) for at in times)
