"""The retry budget: three attempts in all, waits that grow, and a bucket that all requests share."""

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fakes import FakeClock
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from target_stack.chain import Candidate, ProviderChain
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, ErrorSource, FailureKind, source_of_status
from target_stack.ladder import ModelClass
from target_stack.replicas import ReplicaPool
from target_stack.retry import Retries, RetryBudget, RetryConfig, RetryMode

MODELS = {ModelClass.MAIN: "large", ModelClass.SMALL: "mini"}
BOTH = (ModelClass.MAIN, ModelClass.SMALL)
MAIN = (ModelClass.MAIN,)


@dataclass(eq=False)
class FakeProvider:
    name: str
    models: tuple[str, ...] = ("large", "mini")
    outstanding: int = 0
    available: bool = True


def status(code: int, retry_after: str | None = None, declared: str | None = None) -> DependencyError:
    source = source_of_status(code, declared=declared)
    return DependencyError("x", f"status {code}", kind=FailureKind.STATUS, source=source, retry_after=retry_after)


REFUSED = DependencyError("x", "open", kind=FailureKind.REFUSED)


class Chain:
    """Plays one request against providers that fail as scripted, on a fake clock."""

    def __init__(self, clock: FakeClock, *providers: FakeProvider, replicas: int = 0, **more: object) -> None:
        self.clock = clock
        self.retries: list[tuple[str, str]] = []
        self.budget = RetryBudget(share=0.1, reserve=int(str(more.pop("reserve", 10))))
        pool = None
        if replicas:
            pool = ReplicaPool([FakeProvider(f"inference-{n + 1}") for n in range(replicas)], failures=1, enabled=False)
        self.chain = ProviderChain(
            providers or (FakeProvider("primary"), FakeProvider("secondary")),  # type: ignore[arg-type]
            clock,
            random.Random(1),
            models=MODELS,
            retry=RetryConfig(jitter=0.0, **more),  # type: ignore[arg-type]
            budget=self.budget,
            failover=True,
            replicas=pool,  # type: ignore[arg-type]
            on_retry=lambda name, outcome: self.retries.append((name, outcome)),
        )

    def play(
        self,
        errors: dict[str, DependencyError],
        classes: tuple[ModelClass, ...] = BOTH,
        *,
        left: float = math.inf,
        takes: float = 0.0,
    ) -> list[tuple[str, str, float]]:
        """Return every call with the wait before it."""
        failures: dict[str, DependencyError] = {}
        deadline = Deadline(self.clock, self.clock.monotonic() + left) if left < math.inf else Deadline()
        calls = []
        for candidate in self._asked(classes, failures, deadline):
            self.clock.advance(candidate.wait + takes)
            name = candidate.provider.name
            calls.append((name, candidate.model, candidate.wait))
            failures[name] = errors[name]
        return calls

    def _asked(
        self, classes: tuple[ModelClass, ...], failures: dict[str, DependencyError], deadline: Deadline
    ) -> Iterator[Candidate]:
        yield from self.chain.candidates(classes, failures, deadline=deadline)


def both(error: DependencyError) -> dict[str, DependencyError]:
    return {"primary": error, "secondary": error}


def test_a_request_fails_over_at_once_and_makes_three_calls_in_all(clock: FakeClock) -> None:
    calls = Chain(clock).play(both(status(503)))
    assert calls == [("primary", "large", 0), ("secondary", "large", 0), ("primary", "mini", 1)]


def test_the_wait_before_each_retry_doubles(clock: FakeClock) -> None:
    calls = Chain(clock, FakeProvider("primary"), max_attempts=5).play({"primary": status(500)}, MAIN)
    assert [wait for *_, wait in calls] == [0, 1, 2, 4, 8]


def test_time_that_passed_elsewhere_counts_as_waited(clock: FakeClock) -> None:
    calls = Chain(clock).play(both(status(500)), MAIN, takes=0.75)
    assert calls[2] == ("primary", "large", 0.25)


@given(st.integers(1, 20), st.integers(0, 1000))
def test_a_backoff_is_within_its_jitter_and_under_its_cap(failures: int, seed: int) -> None:
    wait = RetryConfig().backoff(failures, random.Random(seed))
    assert 0.5 * min(2 ** (failures - 1), 60) <= wait <= min(1.5 * 2 ** (failures - 1), 60)


def test_retry_after_is_a_minimum_wait(clock: FakeClock) -> None:
    chain = Chain(clock, FakeProvider("primary"))
    assert [wait for *_, wait in chain.play({"primary": status(429, "7")}, MAIN)] == [0, 7, 7]


def test_the_sooner_of_two_comes_first(clock: FakeClock) -> None:
    calls = Chain(clock).play({"primary": status(429, "20"), "secondary": status(500)}, MAIN)
    assert calls == [("primary", "large", 0), ("secondary", "large", 0), ("secondary", "large", 1)]


@pytest.mark.parametrize(
    "final",
    [status(429), status(400), status(404), status(429, "61"), REFUSED, status(429, "soon")],
    ids=["spend limit", "bad request", "not found", "longer than the cap", "breaker open", "nonsense"],
)
def test_what_waiting_does_not_heal_is_not_asked_again(clock: FakeClock, final: DependencyError) -> None:
    assert Chain(clock).play(both(final)) == [("primary", "large", 0), ("secondary", "large", 0)]


def test_a_busy_worker_that_says_when_to_come_back_is_asked_again(clock: FakeClock) -> None:
    calls = Chain(clock, FakeProvider("primary")).play({"primary": status(503, "1", "own_system")}, MAIN)
    assert [wait for *_, wait in calls] == [0, 1, 2]


def test_calls_that_the_breaker_refused_do_not_count(clock: FakeClock) -> None:
    providers = [FakeProvider(name) for name in "abcd"]
    errors = {"a": REFUSED, "b": REFUSED, "c": status(500), "d": status(500)}
    calls = Chain(clock, *providers).play(errors, MAIN)
    assert [name for name, *_ in calls] == ["a", "b", "c", "d", "c"]


def test_a_wait_that_does_not_fit_the_deadline_ends_the_request_at_once(clock: FakeClock) -> None:
    chain = Chain(clock)
    assert len(chain.play(both(status(429, "5")), left=4.0)) == 2
    assert chain.retries == [("primary", "no_time")]


def test_without_budget_there_is_failover_but_no_retry(clock: FakeClock) -> None:
    chain = Chain(clock, reserve=0)
    assert [name for name, *_ in chain.play(both(status(500)))] == ["primary", "secondary"]
    assert chain.retries == [("primary", "no_budget"), ("secondary", "no_budget")]


def test_replicas_of_one_model_share_the_budget_and_providers_stand_behind_them(clock: FakeClock) -> None:
    errors = {name: status(500) for name in ("inference-1", "inference-2", "primary", "secondary")}
    with_budget = Chain(clock, replicas=2).play(errors, MAIN)
    assert [name for name, *_ in with_budget] == ["inference-1", "inference-2", "primary"]
    assert all(wait == 0 for *_, wait in with_budget)
    without = Chain(clock, replicas=2, reserve=0).play(errors, MAIN)
    assert [name for name, *_ in without] == ["inference-1", "primary", "secondary"]


def test_with_retries_off_nothing_is_called_twice(clock: FakeClock) -> None:
    for error in (status(500), status(429, "1"), status(503, "1", "own_system")):
        calls = Chain(clock, mode=RetryMode.OFF).play(both(error))
        expected = [("primary", "large", 0), ("secondary", "large", 0)]
        assert calls[:2] == expected
        assert len(calls) == 2


def test_naive_retries_multiply_every_call_at_once(clock: FakeClock) -> None:
    calls = Chain(clock, mode=RetryMode.NAIVE, reserve=0).play(both(status(429)))
    assert len(calls) == 12
    assert {wait for *_, wait in calls} == {0}
    assert len(Chain(clock, mode=RetryMode.NAIVE).play(both(REFUSED))) == 4


def test_a_storm_is_kept_to_its_share(clock: FakeClock) -> None:
    """Everything fails for a thousand requests: a tenth more calls, and what was saved up before."""
    chain = Chain(clock, FakeProvider("primary"))
    calls = sum(len(chain.play({"primary": status(500)}, MAIN)) for _ in range(1000))
    assert 1100 <= calls <= 1110


class BudgetMachine(RuleBasedStateMachine):
    """Whatever comes in whatever order, retries stay within reserve plus share, from every moment on."""

    SHARE, RESERVE = 0.25, 4  # exact in binary

    def __init__(self) -> None:
        super().__init__()
        self.budget = RetryBudget(share=self.SHARE, reserve=self.RESERVE)
        self.requests = 0
        self.retries = 0
        self.lowest = 0.0
        """Smallest of requests x share - retries so far: where the worst stretch of time began."""

    @rule(count=st.integers(1, 30))
    def requests_come(self, count: int) -> None:
        for _ in range(count):
            self.requests += 1
            self.budget.request()
            self.note()

    @rule(count=st.integers(1, 10))
    def retries_are_wanted(self, count: int) -> None:
        for _ in range(count):
            before = self.budget.tokens
            got = self.budget.spend()
            assert got == (before >= 1)
            self.retries += got
            self.note()

    def note(self) -> None:
        self.lowest = max(self.lowest, self.requests * self.SHARE - self.retries)

    @invariant()
    def no_stretch_of_time_has_more_retries_than_its_share_and_the_reserve(self) -> None:
        spent_since_worst = self.lowest - (self.requests * self.SHARE - self.retries)
        assert spent_since_worst <= self.RESERVE
        assert 0 <= self.budget.tokens <= self.RESERVE


TestBudgetMachine = BudgetMachine.TestCase
TestBudgetMachine.settings = settings(max_examples=100, stateful_step_count=40, deadline=None, database=None)

ERRORS = st.sampled_from(
    [status(500), status(503, "2"), status(429), status(429, "3"), status(429, "90"), status(400), REFUSED]
)


@settings(deadline=None, database=None)
@given(
    st.lists(st.tuples(st.lists(ERRORS, min_size=3, max_size=3), st.floats(0, 30), st.floats(0, 5)), max_size=20),
    st.integers(0, 5),
    st.integers(0, 100),
)
def test_whatever_fails_a_request_keeps_to_its_attempts_its_waits_and_its_deadline(
    requests: list[tuple[list[DependencyError], float, float]], reserve: int, seed: int
) -> None:
    clock, rng = FakeClock(), random.Random(seed)
    budget = RetryBudget(share=0.1, reserve=reserve)
    retried = 0
    for errors, left, takes in requests:
        retries = Retries(RetryConfig(), budget, clock, rng, deadline=Deadline(clock, clock.now + left))
        ends = clock.now + left
        names = ("a", "b", "c")
        wanted = list(names)
        said: dict[str, tuple[float, DependencyError]] = {}
        while wanted and not retries.exhausted:
            name = min(wanted, key=retries.wait)
            wait = retries.wait(name)
            if math.isinf(wait) or (wait and not retries.in_time(wait)):
                break
            if retries.is_retry(name):
                if not retries.afford():
                    wanted.remove(name)
                    continue
                retried += 1
                at, error = said[name]
                assert error.source is not ErrorSource.RATE_LIMIT or error.retry_after, "a spend limit was retried"
                assert clock.now + wait >= at + float(error.retry_after or 0.5)
            clock.advance(wait)
            assert not wait or clock.now < ends
            clock.advance(takes)
            error = errors[names.index(name)]
            said[name] = (clock.now, error)
            if error is not REFUSED:
                retries.called(name)
            retries.failed(name, error)
        assert retries.calls <= 3
    assert retried <= reserve + 0.1 * len(requests)
