"""Comparison with the steady state: an effect and ratios of quantiles, chance left aside."""

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.compare import compare
from brownout.units import Share
from tests.evidence.making import request, window
from tests.probes.windows import MOMENTS, windows


def slow(count: int, *, by: float = 1.0, seed: int = 7) -> list[Request]:
    draw = random.Random(seed)
    return [request(n, n * 10 / count, total=by * draw.lognormvariate(0, 0.25)) for n in range(count)]


def against(now: list[Request], before: list[Request] | None) -> Window:
    return window(now, baseline=None if before is None else window(before))


@given(windows(), windows(), st.sampled_from([0.0, 0.147, 0.474]))
def test_the_effect_is_that_of_every_pair(now: Window, before: Window, most: float) -> None:
    verdict = compare(against(list(now.requests), list(before.requests)), measure="ttft", effect=most)
    if min(len(now.requests), len(before.requests)) < 20:
        assert verdict.outcome == "inconclusive"
        return
    here, there = ([float("inf") if each.ttft is None else each.ttft for each in one.requests] for one in (now, before))
    pairs = [(one > other) - (one < other) for one in here for other in there]
    effect = sum(pairs) / len(pairs)
    assert verdict.value == pytest.approx(effect)
    if effect <= most - 1e-9:
        assert verdict.outcome == "passed"
    elif effect > most + 1e-9:
        assert verdict.outcome != "passed"


@given(windows(), windows(), MOMENTS)
def test_a_failed_request_never_makes_it_pass(now: Window, before: Window, at: float) -> None:
    bad = request(999, at, outcome="error", ttft=None)
    arguments: list[dict[str, Any]] = [{"effect": 0.147}, {"p50": 1.5}, {"p95": 1.5}]
    for one in arguments:
        given = against(list(now.requests), list(before.requests))
        if compare(given, measure="total", **one).outcome == "failed":
            worse = against([*now.requests, bad], list(before.requests))
            assert compare(worse, measure="total", **one).outcome != "passed"


def test_a_system_twice_as_slow_is_found_out() -> None:
    given = against(slow(200, by=2.0), slow(200, seed=8))
    verdict = compare(given, measure="total", effect=0.33, p50=1.5)
    assert verdict.outcome == "failed"
    assert "effect +0.9" in verdict.figure
    assert verdict.why == "200 requests before"
    assert compare(given, measure="total", p50=2.5, p95=2.5).outcome == "passed"


def test_the_same_system_again_passes() -> None:
    assert compare(against(slow(200), slow(200, seed=8)), measure="total", effect=0.147, p95=1.3).outcome == "passed"


def test_a_difference_that_chance_may_explain_is_inconclusive() -> None:
    verdict = compare(against(slow(25, by=1.1), slow(25, seed=8)), measure="total", p50=1.01)
    assert verdict.outcome == "inconclusive"
    assert "which may be chance" in verdict.why


def test_a_system_that_answers_nothing_any_more_is_infinitely_slower() -> None:
    dead = [request(n, n / 20, outcome="error", ttft=None) for n in range(200)]
    verdict = compare(against(dead, slow(200)), measure="total", p95=1.5, effect=0.147)
    assert (verdict.outcome, verdict.figure) == ("failed", "effect +1.00 (p 0), p95 ∞")


def test_costs_are_compared_where_they_are_told() -> None:
    dear = [request(n, n / 20, cost=0.01) for n in range(100)]
    cheap = [request(n, n / 20, cost=0.002) for n in range(100)]
    assert compare(against(dear, cheap), measure="cost", p50=2.0).outcome == "failed"
    assert compare(against(cheap, dear), measure="cost", effect=0.0).outcome == "passed"


def test_without_a_steady_state_there_is_nothing_to_compare_with() -> None:
    assert compare(against(slow(50), None), measure="total", p50=2.0).outcome == "inconclusive"
    verdict = compare(against(slow(50), slow(10)), measure="total", p50=2.0)
    assert verdict.why == "10 requests; at least 20 are needed to tell, in the steady state"


@pytest.mark.parametrize(
    "arguments", [{}, {"effect": -0.1}, {"effect": 1.0}, {"p95": 0.9}, {"p95": 2.0, "confidence": Share(1.0)}]
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one|between"):
        compare(window(), measure="ttft", **arguments)
