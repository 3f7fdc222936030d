"""Identical work is done once: whoever comes, whoever leaves, however it ends."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing

import pytest
from fakes import FakeClock
from harness import ACME, DOCUMENTS, GLOBEX, Answer, Gateway, Stack, wait_until
from hypothesis import given, settings
from hypothesis import strategies as st

from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, FailureKind
from target_stack.singleflight import SingleFlight

REFUNDS = "When are refunds paid?"


class Work:
    """Counts to three, one step each time the test says so."""

    def __init__(self, *, fails: bool = False) -> None:
        self.begun = 0
        self.ended = 0
        self.fails = fails
        self._steps: list[asyncio.Event] = [asyncio.Event() for _ in range(3)]

    def step(self, number: int) -> None:
        self._steps[number].set()

    async def run(self) -> AsyncGenerator[int, None]:
        self.begun += 1
        try:
            for number, step in enumerate(self._steps):
                await step.wait()
                if self.fails and number == 2:
                    raise ValueError("half-way")
                yield number
        finally:
            self.ended += 1


async def ride(flights: SingleFlight[int], work: Work, seen: list[int], deadline: Deadline | None = None) -> None:
    async with aclosing(flights.join("key", work.run, deadline=deadline or Deadline())) as results:
        async for result in results:
            seen.append(result)


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


def test_all_who_ask_at_once_get_the_results_of_one_call() -> None:
    async def scenario() -> None:
        flights, work = SingleFlight[int](), Work()
        seen: list[list[int]] = [[] for _ in range(5)]
        tasks = [asyncio.create_task(ride(flights, work, mine)) for mine in seen[:3]]
        await settle()
        assert flights.is_flying("key")
        work.step(0)
        await settle()
        tasks += [asyncio.create_task(ride(flights, work, mine)) for mine in seen[3:]]
        await settle()
        assert seen == [[0]] * 5, "who joins late gets what has come so far"
        work.step(1)
        work.step(2)
        await asyncio.gather(*tasks)
        assert seen == [[0, 1, 2]] * 5
        assert (work.begun, work.ended, len(flights)) == (1, 1, 0)

    asyncio.run(scenario())


def test_a_failure_reaches_all_and_the_next_one_begins_anew() -> None:
    async def scenario() -> None:
        flights, work = SingleFlight[int](), Work(fails=True)
        for number in range(3):
            work.step(number)
        seen: list[int] = []
        results = await asyncio.gather(*(ride(flights, work, seen) for _ in range(3)), return_exceptions=True)
        assert [str(result) for result in results] == ["half-way"] * 3
        assert work.begun == 1
        with pytest.raises(ValueError, match="half-way"):
            await ride(flights, work, seen)
        assert work.begun == 2

    asyncio.run(scenario())


def test_a_passenger_whose_time_is_up_leaves_the_others_alone(clock: FakeClock) -> None:
    async def scenario() -> None:
        flights, work = SingleFlight[int](), Work()
        patient: list[int] = []
        task = asyncio.create_task(ride(flights, work, patient))
        await settle()
        with pytest.raises(DependencyError) as raised:
            await ride(flights, work, [], Deadline(clock, clock.now + 0.01))
        assert raised.value.kind is FailureKind.DEADLINE
        for number in range(3):
            work.step(number)
        await task
        assert patient == [0, 1, 2]

    asyncio.run(scenario())


@settings(deadline=None, database=None)
@given(st.lists(st.tuples(st.sampled_from(["join", "leave", "step"]), st.integers(0, 5)), max_size=25))
def test_work_is_done_once_at_a_time_and_goes_on_exactly_as_long_as_somebody_waits(
    moves: list[tuple[str, int]],
) -> None:
    async def scenario() -> None:
        flights = SingleFlight[int]()
        works: list[Work] = []
        passengers: list[tuple[asyncio.Task[None], list[int]]] = []
        steps = 0

        def begin() -> AsyncGenerator[int, None]:
            works.append(Work())
            for number in range(steps % 3):
                works[-1].step(number)
            return works[-1].run()

        async def join(work: Callable[[], AsyncGenerator[int, None]], seen: list[int]) -> None:
            async with aclosing(flights.join("key", work, deadline=Deadline())) as results:
                async for result in results:
                    seen.append(result)

        for move, number in moves:
            if move == "join":
                seen: list[int] = []
                passengers.append((asyncio.create_task(join(begin, seen)), seen))
            elif move == "leave" and passengers:
                task, _ = passengers.pop(number % len(passengers))
                task.cancel()
            elif move == "step" and works:
                works[-1].step(steps % 3)
                steps += 1
            await settle()
            done = [(task, seen) for task, seen in passengers if task.done()]
            passengers = [(task, seen) for task, seen in passengers if not task.done()]
            assert all(task.exception() is None and seen == [0, 1, 2] for task, seen in done)
            flying = sum(work.begun - work.ended for work in works)
            assert flying == len(flights) == bool(passengers), "work without passengers, or twice, or none for some"
            assert len({tuple(seen) for _, seen in passengers}) <= 1, "passengers of one flight saw different things"
        for task, _ in passengers:
            task.cancel()
        await asyncio.gather(*(task for task, _ in passengers), return_exceptions=True)
        assert all(work.ended == work.begun for work in works)

    asyncio.run(scenario())


def stampede(gateway: Gateway, count: int, tokens: tuple[str, ...] = (ACME,), *, stream: bool = True) -> list[Answer]:
    ask = gateway.stream if stream else gateway.ask
    with ThreadPoolExecutor(count) as crowd:
        return list(crowd.map(lambda n: ask(REFUNDS, token=tokens[n % len(tokens)]), range(count)))


SLOW = {"llm-primary.ttft": 1.0, "llm-primary.tpot": 0.001}
CALLS = 'dependency_calls_total{dependency="llm-primary",outcome="ok"}'


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
@pytest.mark.parametrize("stream", [True, False])
def test_a_stampede_makes_one_call_for_each_tenant_and_everybody_gets_an_answer(stack: Stack, stream: bool) -> None:
    _, port = stack.provider("llm-primary", SLOW)
    with stack.gateway({"cache": False}, STACK_PROVIDERS=f"llm-primary=http://127.0.0.1:{port}") as gateway:
        assert gateway.load(DOCUMENTS).status_code == 200
        answers = stampede(gateway, 10, (ACME, GLOBEX), stream=stream)
        assert gateway.metric(CALLS) == 2
        assert [answer.status for answer in answers] == [200] * 10
        assert all(("within 14 days" if n % 2 == 0 else "90 days") in a.text for n, a in enumerate(answers))
        assert len({answer.serving["request_id"] for answer in answers}) == 10
        assert sum(answer.serving["cost_usd"] > 0 for answer in answers) == 2, "paid once"
        assert sum("llm-primary" in answer.serving["attempts"] for answer in answers) == 2
        assert gateway.metric('single_flight_total{role="joined"}') == 8
        assert gateway.metric('answers_total{level="0"}') == 10


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_without_single_flight_each_of_a_stampede_calls(stack: Stack) -> None:
    _, port = stack.provider("llm-primary", SLOW)
    settings = {"cache": False, "singleflight": False}
    with stack.gateway(settings, STACK_PROVIDERS=f"llm-primary=http://127.0.0.1:{port}") as gateway:
        stampede(gateway, 5)
        assert gateway.metric(CALLS) == 5


@pytest.mark.process
@pytest.mark.usefixtures("healthy")
def test_an_answer_goes_on_for_the_others_when_the_one_who_began_it_leaves(stack: Stack) -> None:
    # Slower than the one who leaves has patience for, whatever the spread.
    _, port = stack.provider("llm-primary", SLOW | {"llm-primary.ttft": 2.2})
    with (
        stack.gateway({"cache": False}, STACK_PROVIDERS=f"llm-primary=http://127.0.0.1:{port}") as gateway,
        ThreadPoolExecutor(1) as other,
    ):
        left = other.submit(gateway.abandon, REFUNDS, stream=False)
        wait_until(lambda: gateway.metric('single_flight_total{role="led"}') == 1, "one has begun it")
        answer = gateway.ask(REFUNDS)
        left.result()
        assert "within 14 days" in answer.text
        assert gateway.metric(CALLS) == 1
