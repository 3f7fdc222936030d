"""A request's deadline: what each call gets of it, and whose fault it is when it has passed."""

import asyncio

import pytest
from fakes import FakeClock

from target_stack.breaker import BreakerConfig, CircuitBreaker, State
from target_stack.deadline import Deadline, DeadlinePolicy
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, ErrorSource, FailureKind, StackError
from target_stack.metrics import GatewayMetrics

POLICY = DeadlinePolicy(enabled=True, limit=60.0, margin=0.5)


def test_downstream_gets_what_is_left_less_a_margin(clock: FakeClock) -> None:
    deadline = POLICY.of("2000", clock, arrived_at=clock.now)
    clock.advance(0.25)
    assert (deadline.left(), deadline.left_downstream()) == (1.75, 1.25)
    assert deadline.headers() == {"x-request-timeout-ms": "1250"}
    clock.advance(1.5)
    assert (deadline.left(), deadline.left_downstream()) == (0.25, 0.0)
    clock.advance(5)
    assert deadline.left() == 0.0


@pytest.mark.parametrize(("header", "left"), [(None, 60), ("1500", 1.5), (" 0 ", 0), ("99999999999999999999", 60)])
def test_a_caller_may_ask_for_less_than_the_limit_and_not_for_more(
    clock: FakeClock, header: str | None, left: float
) -> None:
    assert POLICY.of(header, clock, arrived_at=clock.now).left() == left


@pytest.mark.parametrize("header", ["", "soon", "-1", "1.5", "2s"])
def test_a_deadline_that_is_no_number_is_refused(clock: FakeClock, header: str) -> None:
    with pytest.raises(StackError) as raised:
        POLICY.of(header, clock, arrived_at=clock.now)
    assert raised.value.status == 400


def test_switched_off_there_is_no_deadline_and_nothing_is_said(clock: FakeClock) -> None:
    deadline = DeadlinePolicy(enabled=False, limit=60.0, margin=0.5).of("10", clock, arrived_at=clock.now)
    assert deadline.left_downstream() == float("inf")
    assert deadline.headers() == {}


def test_the_later_of_two_leaves_more_time(clock: FakeClock) -> None:
    sooner, later = Deadline(clock, 1001.0), Deadline(clock, 1002.0)
    assert sooner.later(later) is later.later(sooner) is later
    assert later.later(Deadline()) == Deadline()


def dependency(*, timeout: float, tries: int = 1) -> Dependency:
    breaker = CircuitBreaker(BreakerConfig(failures=1), FakeClock())
    return Dependency("vector-db", breaker, GatewayMetrics(), timeout=timeout, tries=tries)


def test_a_call_cut_short_by_its_request_opens_no_breaker(clock: FakeClock) -> None:
    database = dependency(timeout=30.0)
    attempts = Attempts(Deadline(clock, clock.now + 0.02))
    with pytest.raises(DependencyError) as raised:
        asyncio.run(database.call(asyncio.Event().wait, attempts))
    assert (raised.value.kind, raised.value.source) == (FailureKind.DEADLINE, ErrorSource.OWN_SYSTEM)
    assert database.breaker.state is State.CLOSED
    assert attempts.calls["vector-db"] == 1


def test_a_call_that_outlasts_its_own_limit_is_the_dependencys_fault(clock: FakeClock) -> None:
    database = dependency(timeout=0.02)
    with pytest.raises(DependencyError) as raised:
        asyncio.run(database.call(asyncio.Event().wait, Attempts(Deadline(clock, clock.now + 30))))
    assert (raised.value.kind, raised.value.source) == (FailureKind.TIMEOUT, ErrorSource.PROVIDER)
    assert database.breaker.state is State.OPEN


@pytest.mark.parametrize("tries", [1, 3])
def test_without_time_no_call_is_made(clock: FakeClock, tries: int) -> None:
    attempts = Attempts(Deadline(clock, clock.now + 0.5, margin=0.5))
    with pytest.raises(DependencyError) as raised:
        asyncio.run(dependency(timeout=1.0, tries=tries).call(asyncio.Event().wait, attempts))
    assert raised.value.kind is FailureKind.DEADLINE
    assert not attempts.calls


def test_a_naive_dependency_is_called_three_times_but_not_through_an_open_breaker() -> None:
    async def fail() -> None:
        raise DependencyError("vector-db", "down", kind=FailureKind.UNREACHABLE)

    async def refuse() -> None:
        raise DependencyError("vector-db", "429", kind=FailureKind.STATUS, source=ErrorSource.RATE_LIMIT)

    opened, limited = Attempts(), Attempts()
    with pytest.raises(DependencyError):
        asyncio.run(dependency(timeout=1.0, tries=3).call(fail, opened))
    with pytest.raises(DependencyError):
        asyncio.run(dependency(timeout=1.0, tries=3).call(refuse, limited))
    assert (opened.calls["vector-db"], limited.calls["vector-db"]) == (1, 3)
