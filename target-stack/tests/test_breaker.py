"""The circuit breaker on a fake clock."""

import asyncio
from dataclasses import replace

import pytest
from fakes import FakeClock

from target_stack.breaker import BreakerConfig, CircuitBreaker, CircuitOpenError, State, Transition
from target_stack.dependency import Attempts, Dependency
from target_stack.failures import DependencyError, ErrorSource, FailureKind, source_of_status
from target_stack.metrics import GatewayMetrics

LLM = BreakerConfig()


def state(breaker: CircuitBreaker) -> State:
    """The state, as something that the type checker expects to change."""
    return breaker.state


def trip(breaker: CircuitBreaker, *, failures: int = 3) -> None:
    for _ in range(failures):
        breaker.acquire().failure("timeout")


def go_round(breaker: CircuitBreaker, clock: FakeClock, *, after: float) -> None:
    """Open it, wait, and let all probes succeed."""
    trip(breaker)
    clock.advance(after)
    for _ in range(3):
        breaker.acquire().success()


def refused(breaker: CircuitBreaker) -> CircuitOpenError:
    with pytest.raises(CircuitOpenError) as raised:
        breaker.acquire()
    return raised.value


def test_breaker_opens_on_the_third_consecutive_failure(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker, failures=2)
    assert state(breaker) is State.CLOSED
    trip(breaker, failures=1)
    assert state(breaker) is State.OPEN
    assert refused(breaker).retry_in == 60


def test_a_success_between_failures_starts_the_count_again(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    for _ in range(5):
        trip(breaker, failures=2)
        breaker.acquire().success()
    assert state(breaker) is State.CLOSED


def test_breaker_opens_when_a_tenth_of_the_calls_in_the_window_fail(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    for call in range(19):
        permit = breaker.acquire()
        permit.failure("timeout") if call in (4, 12) else permit.success()
    assert state(breaker) is State.CLOSED, "19 calls are too few to judge by rate"
    breaker.acquire().success()
    assert state(breaker) is State.OPEN


def test_failures_that_left_the_window_do_not_count(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker, failures=2)
    clock.advance(10)
    for _ in range(25):
        breaker.acquire().success()
    breaker.acquire().failure("timeout")
    assert state(breaker) is State.CLOSED, "1 of 26"


def test_one_failure_out_of_one_does_not_open_it(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker, failures=1)
    assert state(breaker) is State.CLOSED


def test_breaker_stays_open_for_exactly_its_recovery_time(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker)
    clock.advance(59.999)
    refused(breaker)
    clock.advance(0.001)
    breaker.acquire()
    assert state(breaker) is State.HALF_OPEN


def test_half_open_lets_three_probes_through_and_closes_when_all_succeed(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker)
    clock.advance(60)
    probes = [breaker.acquire() for _ in range(3)]
    refused(breaker)
    for probe in probes:
        assert state(breaker) is State.HALF_OPEN
        probe.success()
    assert state(breaker) is State.CLOSED


def test_breaker_reopens_when_one_half_open_probe_fails(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker)
    clock.advance(60)
    first, second, third = (breaker.acquire() for _ in range(3))
    first.success()
    second.failure("timeout")
    assert state(breaker) is State.OPEN
    third.success()
    assert state(breaker) is State.OPEN, "a verdict of the last half-open phase is too late"
    assert refused(breaker).retry_in == 60


def test_a_released_probe_gives_its_place_to_another(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    trip(breaker)
    clock.advance(60)
    probes = [breaker.acquire() for _ in range(3)]
    probes[0].release()
    replacement = breaker.acquire()
    refused(breaker)
    for probe in (*probes[1:], replacement):
        probe.success()
    assert state(breaker) is State.CLOSED


def test_a_call_from_before_the_opening_neither_closes_nor_reopens_it(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    slow_success, slow_failure = breaker.acquire(), breaker.acquire()
    trip(breaker)
    clock.advance(60)
    probes = [breaker.acquire() for _ in range(2)]
    slow_success.success()
    slow_failure.failure("timeout")
    assert state(breaker) is State.HALF_OPEN
    for probe in probes:
        probe.success()
    assert state(breaker) is State.HALF_OPEN, "two probes and a call from before are not three probes"
    breaker.acquire().success()
    assert state(breaker) is State.CLOSED


def test_only_the_first_verdict_on_a_call_stands(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    permit = breaker.acquire()
    for _ in range(5):
        permit.failure("timeout")
    assert state(breaker) is State.CLOSED


def test_an_unstable_dependency_recovers_more_slowly(clock: FakeClock) -> None:
    breaker = CircuitBreaker(LLM, clock)
    for _ in range(4):
        go_round(breaker, clock, after=60)
    trip(breaker)
    assert refused(breaker).retry_in == 300
    assert breaker.oscillations == 4
    clock.advance(300)
    for _ in range(3):
        breaker.acquire().success()
    clock.advance(600)
    trip(breaker)
    assert refused(breaker).retry_in == 60, "the cycles are more than 10 min ago"


def test_transitions_are_told_with_their_reasons(clock: FakeClock) -> None:
    told: list[Transition] = []
    go_round(CircuitBreaker(LLM, clock, on_transition=told.append), clock, after=60)
    assert [(t.from_state, t.to_state) for t in told] == [
        (State.CLOSED, State.OPEN),
        (State.OPEN, State.HALF_OPEN),
        (State.HALF_OPEN, State.CLOSED),
    ]
    assert told[0].reason == "3 consecutive failures, the last: timeout"


def test_a_disabled_breaker_lets_every_call_through_and_keeps_its_state(clock: FakeClock) -> None:
    breaker = CircuitBreaker(replace(LLM, enabled=False), clock)
    trip(breaker, failures=50)
    assert state(breaker) is State.CLOSED
    breaker.acquire()


def guard(clock: FakeClock) -> Dependency:
    return Dependency("llm-primary", CircuitBreaker(LLM, clock), GatewayMetrics(), timeout=0.01)


@pytest.mark.parametrize("status", [429, 503])
def test_rate_limits_and_our_own_503_never_open_it(clock: FakeClock, status: int) -> None:
    dependency = guard(clock)

    async def answer() -> None:
        source = source_of_status(status, declared="own_system" if status == 503 else None)
        raise DependencyError("llm-primary", f"status {status}", kind=FailureKind.STATUS, source=source)

    for _ in range(100):
        with pytest.raises(DependencyError):
            asyncio.run(dependency.call(answer, Attempts()))
    assert state(dependency.breaker) is State.CLOSED


def test_a_providers_503_counts() -> None:
    assert source_of_status(503, declared=None) is ErrorSource.PROVIDER
    assert source_of_status(500, declared="provider") is ErrorSource.PROVIDER
    assert source_of_status(404, declared=None) is ErrorSource.OWN_SYSTEM


def test_a_call_that_is_late_counts_as_a_failure(clock: FakeClock) -> None:
    dependency = guard(clock)
    attempts = Attempts()
    for _ in range(3):
        with pytest.raises(DependencyError, match="no answer within 10 ms"):
            asyncio.run(dependency.call(lambda: asyncio.sleep(5), attempts))
    assert state(dependency.breaker) is State.OPEN
    with pytest.raises(DependencyError) as raised:
        asyncio.run(dependency.call(lambda: asyncio.sleep(5), attempts))
    assert raised.value.kind is FailureKind.REFUSED
    assert attempts.calls == {"llm-primary": 3}, "a refused call is not an attempt"


def test_a_cancelled_call_releases_its_half_open_place(clock: FakeClock) -> None:
    dependency = guard(clock)
    trip(dependency.breaker)
    clock.advance(60)

    async def scenario() -> None:
        entered = asyncio.Event()

        async def hang() -> None:
            async with dependency.guarded(Attempts()):
                entered.set()
                await asyncio.Event().wait()

        call = asyncio.create_task(hang())
        await entered.wait()
        call.cancel()
        await asyncio.wait({call})

    for _ in range(10):
        asyncio.run(scenario())
    assert state(dependency.breaker) is State.HALF_OPEN
    go = [dependency.breaker.acquire() for _ in range(3)]
    for permit in go:
        permit.success()
    assert state(dependency.breaker) is State.CLOSED
