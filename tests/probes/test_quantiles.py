"""TTFT and total time: exact order statistics over every request, which failures cannot improve."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.total import total
from brownout.probes.tpot import tpot
from brownout.probes.ttft import ttft
from brownout.units import Latency
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

LIMITS = st.sampled_from([0.1, 0.125, 0.25, 0.4, 1.0])
PERCENTS = st.sampled_from([50, 90, 95, 99])


def asked(percent: int, limit: float) -> dict[str, Any]:
    return {f"p{percent}": limit}


def oracle(values: list[float], percent: int) -> float:
    """The smallest value that at least that share of all values does not exceed."""
    return min(v for v in values if sum(other <= v for other in values) * 100 >= percent * len(values))


@given(windows(most=120), PERCENTS, LIMITS)
def test_ttft_is_an_exact_order_statistic_of_all_requests(given: Window, percent: int, limit: float) -> None:
    verdict = ttft(given, **asked(percent, limit))
    values = [math.inf if each.first_token is None else each.first_token - each.intended for each in given.requests]
    judge(verdict_of=verdict, values=values, percent=percent, limit=limit)


@given(windows(most=120), PERCENTS, LIMITS)
def test_total_is_an_exact_order_statistic_of_all_requests(given: Window, percent: int, limit: float) -> None:
    verdict = total(given, **asked(percent, limit))
    values = [
        math.inf if each.outcome != "ok" or each.done is None else each.done - each.intended for each in given.requests
    ]
    judge(verdict_of=verdict, values=values, percent=percent, limit=limit)


@given(windows(most=120), PERCENTS, LIMITS)
def test_tpot_is_an_exact_order_statistic_of_all_streams(given: Window, percent: int, limit: float) -> None:
    streams = [each for each in given.requests if each.stream and (each.outcome != "ok" or each.tpot is not None)]
    values = [math.inf if each.outcome != "ok" or each.tpot is None else each.tpot for each in streams]
    judge(verdict_of=tpot(given, **asked(percent, limit)), values=values, percent=percent, limit=limit)


@given(windows(most=120), LIMITS)
def test_any_percentile_can_be_asked_for(given: Window, limit: float) -> None:
    assert total(given, percentile=95.0, at_most=Latency(limit)) == total(given, p95=Latency(limit))


def test_the_rank_of_a_fine_percentile_is_exact() -> None:
    slow = request(999, 5.0, ttft=9.0)
    assert ttft(window(evenly(999)), percentile=99.9, at_most=Latency(1.0)).outcome == "inconclusive"
    assert ttft(window([*evenly(999), slow]), percentile=99.9, at_most=Latency(1.0)).outcome == "passed"
    slower = request(998, 5.0, ttft=9.0)
    assert ttft(window([*evenly(998), slow, slower]), percentile=99.9, at_most=Latency(1.0)).outcome == "failed"


def judge(*, verdict_of: Any, values: list[float], percent: int, limit: float) -> None:
    if len(values) < (100 if percent == 99 else 20):
        assert verdict_of.outcome == "inconclusive"
        return
    expected = oracle(values, percent)
    assert verdict_of.outcome == ("passed" if expected <= limit else "failed")
    assert verdict_of.value == (expected if math.isfinite(expected) else None)
    assert verdict_of.low is None or verdict_of.low <= expected
    assert verdict_of.high is None or verdict_of.high >= expected


BAD = st.builds(lambda at, ttft: request(999, at, outcome="error", ttft=ttft), MOMENTS, st.sampled_from([None, 9.0]))


@given(windows(most=120), BAD, PERCENTS, LIMITS)
def test_a_slow_or_failed_request_never_makes_it_pass(given: Window, bad: Request, percent: int, limit: float) -> None:
    never_better_for_a_bad_one(ttft, given, bad, **asked(percent, limit))
    never_better_for_a_bad_one(total, given, bad, **asked(percent, limit))
    never_better_for_a_bad_one(tpot, given, bad, **asked(percent, limit))


def test_requests_that_fail_at_once_are_infinitely_slow() -> None:
    failed = [request(100 + n, 5.0, outcome="error", ttft=None, total=0.001) for n in range(10)]
    verdict = ttft(window([*evenly(90), *failed]), p95=Latency(0.5))
    assert (verdict.outcome, verdict.figure) == ("failed", "p95 ∞")
    assert verdict.why == "10 of 100 requests never got a token"
    assert total(window([*evenly(90), *failed]), p95=Latency(0.6)).outcome == "failed"


def test_a_stream_that_was_cut_has_a_ttft_but_no_end() -> None:
    cut = [request(n, 5.0, outcome="cut") for n in range(20)]
    assert ttft(window(cut), p50=Latency(0.2)).outcome == "passed"
    assert total(window(cut), p50=Latency(60.0)).outcome == "failed"


def test_one_broken_limit_fails_although_another_cannot_be_told() -> None:
    verdict = ttft(window(evenly(30, ttft=0.4)), p50=Latency(0.2), p99=Latency(0.2))
    assert (verdict.outcome, verdict.figure) == ("failed", "p50 400 ms")


def test_a_limit_that_cannot_be_told_is_inconclusive_although_another_holds() -> None:
    verdict = ttft(window(evenly(30)), p50=Latency(0.2), p99=Latency(0.2))
    assert verdict.outcome == "inconclusive"
    assert verdict.why == "30 requests; at least 100 are needed to tell a p99"


def test_the_figure_tells_every_quantile_and_the_value_the_one_nearest_its_limit() -> None:
    requests = [*evenly(90), *(request(90 + n, 5.0, ttft=0.3) for n in range(10))]
    verdict = ttft(window(requests), p50=Latency(1.0), p95=Latency(0.4))
    assert (verdict.figure, verdict.threshold) == ("p50 100 ms, p95 300 ms", "p50 at most 1 s, p95 at most 400 ms")
    assert (verdict.limit, verdict.unit) == (0.4, "s")
    assert verdict.value == pytest.approx(0.3)


@pytest.mark.parametrize("probe", [ttft, total, tpot])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"p95": 0.0},
        {"p50": -1.0},
        {"percentile": 99.9},
        {"at_most": 1.0},
        {"percentile": 100.0, "at_most": 1.0},
        {"percentile": 0.0, "at_most": 1.0},
    ],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(probe: Any, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"at least one|above 0|go together|between 0 and 100"):
        probe(window(), **arguments)
