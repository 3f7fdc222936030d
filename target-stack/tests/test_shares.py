"""Who is asked first: by share, among those that can be reached; the others follow in failover order."""

import random
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from fakes import FakeClock
from hypothesis import given
from hypothesis import strategies as st

from target_stack.breaker import BreakerConfig, CircuitBreaker
from target_stack.chain import Candidate, ProviderChain
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, FailureKind
from target_stack.ladder import ModelClass
from target_stack.retry import RetryBudget, RetryConfig
from target_stack.setting import ConfigurationError
from target_stack.shares import Shares, shares_from

NAMES = ("primary", "secondary", "tertiary")
DEFAULT = dict(zip(NAMES, (80.0, 15.0, 5.0), strict=True))
MAIN = (ModelClass.MAIN,)


@dataclass(eq=False)
class FakeProvider:
    name: str
    breaker: CircuitBreaker
    models: tuple[str, ...] = ("large", "mini")

    @property
    def available(self) -> bool:
        return self.breaker.admits


class Chain:
    """Three providers with real breakers on a fake clock."""

    def __init__(self, clock: FakeClock, shares: dict[str, float], *, failover: bool = True) -> None:
        config = BreakerConfig(failures=1, recovery=60, probes=1)
        self.breakers = {name: CircuitBreaker(config, clock) for name in NAMES}
        self.chain = ProviderChain(
            [FakeProvider(name, breaker) for name, breaker in self.breakers.items()],  # type: ignore[misc]
            clock,
            random.Random(1),
            models={ModelClass.MAIN: "large", ModelClass.SMALL: "mini"},
            retry=RetryConfig(),
            budget=RetryBudget(share=0.1, reserve=10),
            failover=failover,
            shares=shares,
        )

    def first(self) -> Candidate:
        return next(self.chain.candidates(MAIN, {}, deadline=Deadline()))

    def all(self) -> Iterator[Candidate]:
        failures: dict[str, DependencyError] = {}
        for candidate in self.chain.candidates(MAIN, failures, deadline=Deadline()):
            name = candidate.provider.name
            yield candidate
            failures[name] = DependencyError(name, "open", kind=FailureKind.REFUSED)

    def counted(self, requests: int) -> dict[str, int]:
        return Counter(self.first().provider.name for _ in range(requests))


def test_of_a_hundred_requests_each_provider_is_asked_its_share_first(clock: FakeClock) -> None:
    chain = Chain(clock, DEFAULT)
    assert chain.counted(100) == {"primary": 80, "secondary": 15, "tertiary": 5}


@given(st.lists(st.integers(0, 100), min_size=1, max_size=5).filter(any), st.integers(1, 500))
def test_any_shares_are_kept_over_any_stretch(shares: list[int], requests: int) -> None:
    turns = Shares({str(place): float(share) for place, share in enumerate(shares)})
    names = [str(place) for place in range(len(shares))]
    taken = Counter(turns.take(names) for _ in range(requests))
    for name, share in zip(names, shares, strict=True):
        assert abs(taken[name] - requests * share / sum(shares)) <= len(shares)
        assert share or not taken[name]


@given(st.lists(st.sets(st.sampled_from(NAMES)), max_size=300))
def test_who_is_not_able_gets_no_turn_and_has_none_to_catch_up_on(able: list[set[str]]) -> None:
    turns = Shares(DEFAULT)
    for names in able:
        taken = turns.take(names)
        assert taken in names if names else taken is None
    taken_after = Counter(turns.take(NAMES) for _ in range(100))
    assert all(abs(taken_after[name] - share) <= 3 for name, share in DEFAULT.items())


def test_a_provider_with_an_open_breaker_is_not_asked_first_and_its_turns_are_failover(clock: FakeClock) -> None:
    chain = Chain(clock, DEFAULT)
    chain.breakers["primary"].acquire().failure("down")
    firsts = [chain.first() for _ in range(100)]
    assert Counter(one.provider.name for one in firsts) == {"secondary": 75, "tertiary": 25}
    assert Counter(one.failover for one in firsts) == {True: 80, False: 20}


def test_it_gets_its_turns_back_when_its_breaker_would_let_a_probe_through(clock: FakeClock) -> None:
    chain = Chain(clock, DEFAULT)
    breaker = chain.breakers["primary"]
    breaker.acquire().failure("down")
    clock.advance(60)
    assert any(chain.first().provider.name == "primary" for _ in range(2))
    probe = breaker.acquire()
    assert "primary" not in chain.counted(20), "its only probe is under way"
    probe.success()
    assert chain.counted(100)["primary"] >= 79


@pytest.mark.parametrize("first", NAMES)
def test_the_others_follow_in_failover_order(clock: FakeClock, first: str) -> None:
    calls = list(Chain(clock, {first: 100.0}).all())
    names = [call.provider.name for call in calls]
    assert names == [first, *(name for name in NAMES if name != first)]
    assert [call.failover for call in calls] == [False, True, True]


def test_where_nobody_with_a_share_can_be_reached_the_order_is_that_of_failover(clock: FakeClock) -> None:
    chain = Chain(clock, {"primary": 100.0, "secondary": 0.0, "tertiary": 0.0})
    chain.breakers["primary"].acquire().failure("down")
    assert [(call.provider.name, call.failover) for call in chain.all()] == [
        ("primary", False),
        ("secondary", True),
        ("tertiary", True),
    ]


def test_without_failover_only_the_one_whose_turn_it_is_is_called(clock: FakeClock) -> None:
    chain = Chain(clock, DEFAULT, failover=False)
    chain.breakers["primary"].acquire().failure("down")
    calls = [list(chain.all()) for _ in range(100)]
    assert all(len(one) == 1 for one in calls)
    assert Counter(one[0].provider.name for one in calls) == {"primary": 80, "secondary": 15, "tertiary": 5}


def test_a_shorter_chain_takes_the_first_shares() -> None:
    assert shares_from("80/15/5", ("a", "b")) == {"a": 80, "b": 15}
    assert shares_from("100", ("a", "b")) == {"a": 100, "b": 0}


@pytest.mark.parametrize("text", ["", "eighty", "80/-1", "0/0/5", "nan", "inf/1"])
def test_shares_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"providers\.shares"):
        shares_from(text, ("a", "b"))
