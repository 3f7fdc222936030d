"""So many requests a minute, by user and by address."""

import pytest
from fakes import FakeClock
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from target_stack.admission import address_of
from target_stack.rate_limit import Limit, RateLimiter

FREE = Limit(per_minute=20)


def passed(limiter: RateLimiter, key: str, count: int) -> int:
    return sum(limiter.take({key: FREE}) == 0 for _ in range(count))


def test_two_minutes_worth_may_come_at_once_and_then_one_each_interval(clock: FakeClock) -> None:
    limiter = RateLimiter(clock)
    assert passed(limiter, "a", 50) == 40
    assert limiter.take({"a": FREE}) == pytest.approx(3)
    clock.advance(3)
    assert passed(limiter, "a", 5) == 1
    clock.advance(600)
    assert passed(limiter, "a", 50) == 40


def test_users_do_not_share_a_limit_and_a_refusal_costs_the_other_key_nothing(clock: FakeClock) -> None:
    limiter = RateLimiter(clock)
    assert passed(limiter, "address", 40) == 40
    for _ in range(10):
        assert limiter.take({"user": FREE, "address": FREE}) > 0
    assert passed(limiter, "user", 41) == 40


def test_full_buckets_are_forgotten_when_there_are_many_keys(clock: FakeClock) -> None:
    limiter = RateLimiter(clock, max_keys=3)
    for key in "abc":
        limiter.take({key: FREE})
    clock.advance(3)
    limiter.take({"d": FREE})
    assert len(limiter) == 1


@pytest.mark.parametrize(
    ("peer", "forwarded_for", "address"),
    [
        ("192.0.2.1", None, "192.0.2.1"),
        ("192.0.2.1", "198.51.100.7", "192.0.2.1"),
        ("127.0.0.1", "203.0.113.9, 198.51.100.7", "198.51.100.7"),
        ("::1", "198.51.100.7", "198.51.100.7"),
        ("127.0.0.1", None, None),
        ("127.0.0.1", " ", None),
        ("a name", None, "a name"),
        (None, "198.51.100.7", None),
    ],
)
def test_only_a_proxy_on_this_machine_is_believed(
    peer: str | None, forwarded_for: str | None, address: str | None
) -> None:
    assert address_of(peer, forwarded_for) == address


class LimiterMachine(RuleBasedStateMachine):
    """No stretch of time lets more through than a burst and what the rate allows; and nobody waits longer than told."""

    LIMIT = Limit(per_minute=60, burst=0.125)  # one a second, 7.5 at once

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.limiter = RateLimiter(self.clock)
        self.passed: list[float] = []

    @rule(count=st.integers(1, 20))
    def ask(self, count: int) -> None:
        for _ in range(count):
            wait = self.limiter.take({"k": self.LIMIT})
            if not wait:
                self.passed.append(self.clock.now)

    @rule()
    def come_back_when_told(self) -> None:
        while wait := self.limiter.take({"k": self.LIMIT}):
            self.clock.advance(wait)
        self.passed.append(self.clock.now)

    @rule(seconds=st.sampled_from([0.25, 0.5, 1, 3, 10]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @invariant()
    def every_stretch_is_within_the_limit(self) -> None:
        for first in range(len(self.passed)):
            elapsed = self.passed[-1] - self.passed[first]
            assert len(self.passed) - first <= 7.5 + elapsed + 1e-3


TestLimiterMachine = LimiterMachine.TestCase
TestLimiterMachine.settings = settings(max_examples=60, stateful_step_count=30, deadline=None, database=None)
