"""Staleness: a bound on the age of what answers are made from, and never a step back."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.staleness import staleness
from brownout.units import Duration, Latency, Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS

AGES = st.sampled_from([(False, None), (False, None), (True, None), (True, 0.5), (True, 2.0), (True, 5.0), (True, 9.0)])


@st.composite
def cached(draw: st.DrawFn, *, unknown: bool = True) -> list[Request]:
    found = []
    for n in range(draw(st.integers(0, 50))):
        used, age = draw(AGES if unknown else AGES.filter(lambda one: one != (True, None)))
        question = draw(st.sampled_from(["q-1", "q-2"]))
        found.append(request(n, draw(MOMENTS), question=question, cache_used=used, cache_age=age))
    return found


def age_of(each: Request) -> float:
    return each.cache_age if each.cache_age is not None else math.inf if each.cache_used else 0.0


@given(cached(), st.sampled_from([1.0, 5.0, 20.0]), st.sampled_from([0.8, 1.0]))
def test_the_bound_holds_for_the_share_of_answers_no_older(requests: list[Request], most: float, share: float) -> None:
    verdict = staleness(window(requests), at_most=Duration(most), share=Share(share))
    fits = sum(age_of(each) <= most for each in requests)
    if share == 1.0 and fits < len(requests):
        assert verdict.outcome == "failed"
    elif len(requests) < 20:
        assert verdict.outcome == "inconclusive"
    else:
        assert verdict.outcome == ("passed" if fits >= share * len(requests) - 1e-9 else "failed")


def steps_back(requests: list[Request]) -> list[float]:
    """For each pair of answers to one question, one over before the other was asked: how much older the later is."""
    found = []
    for one in requests:
        for other in requests:
            if one.question == other.question and one.done is not None and one.done <= other.sent:
                seen = min(one.sent, one.done - age_of(one))
                if seen > -math.inf:
                    found.append(seen - ((other.done or 0.0) - age_of(other)))
    return found


@given(cached(), st.sampled_from([0.25, 1.0, 4.0]))
def test_going_back_is_the_worst_of_every_pair(requests: list[Request], slack: float) -> None:
    verdict = staleness(window(requests), monotone=True, slack=Latency(slack))
    back = steps_back(requests)
    worst = max(back, default=0.0)
    if worst > slack:
        assert verdict.outcome == "failed"
        assert verdict.value == (pytest.approx(worst) if math.isfinite(worst) else None)
    else:
        assert verdict.outcome in ("passed", "inconclusive")
        assert (verdict.outcome == "inconclusive") == (verdict.samples < 20)


@given(cached(unknown=False), MOMENTS)
def test_a_stale_answer_never_makes_it_pass(requests: list[Request], at: float) -> None:
    stale = request(99, at, cache_used=True, cache_age=60.0)
    for arguments in ({"at_most": Duration(5.0)}, {"at_most": Duration(5.0), "share": Share(0.8)}, {"monotone": True}):
        if staleness(window(requests), **arguments).outcome == "failed":  # type: ignore[arg-type]
            assert staleness(window([*requests, stale]), **arguments).outcome == "failed"  # type: ignore[arg-type]


def test_a_cached_answer_older_than_a_fresh_one_before_it_is_a_step_back() -> None:
    fresh = [request(n, n / 10, question=f"q-{n}") for n in range(30)]
    again = [request(100 + n, 5 + n / 10, question=f"q-{n}", cache_used=True, cache_age=5.0) for n in range(30)]
    assert staleness(window([*fresh, *again]), monotone=True).outcome == "passed"
    older = request(200, 9.0, question="q-0", cache_used=True, cache_age=12.0)
    verdict = staleness(window([*fresh, *again, older]), monotone=True)
    assert (verdict.outcome, verdict.figure) == ("failed", "at most 3 s back")


def test_a_cache_that_tells_no_age_is_older_than_any_bound() -> None:
    silent = request(99, 5.0, cache_used=True)
    verdict = staleness(window([*evenly(50), silent]), at_most=Duration(3600.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "98.0 % within it, the oldest of unknown age")


@pytest.mark.parametrize(
    "arguments", [{}, {"at_most": 1.0, "monotone": True}, {"at_most": 0.0}, {"monotone": True, "share": 0.9}]
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|above 0"):
        staleness(window(), **arguments)


@pytest.mark.parametrize("arguments", [{"at_most": Duration(60.0)}, {"monotone": True}])
def test_a_stack_that_says_nothing_of_caches_shows_nothing(arguments: dict[str, Any]) -> None:
    verdict = staleness(window(evenly(100, cache_used=None)), **arguments)
    assert (verdict.outcome, verdict.why) == ("inconclusive", "no answer says whether it was made from a cache")


def test_answers_are_compared_within_a_tenant_only() -> None:
    one: Window = window([request(1, 1.0, tenant="a"), request(2, 5.0, tenant="b", cache_used=True, cache_age=60.0)])
    assert staleness(one, monotone=True).samples == 0
