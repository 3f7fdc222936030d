"""Failover: who answered, and from when on it was somebody else."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.failover import failover
from brownout.units import Duration, Share
from tests.evidence.making import request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one

OTHER = {"provider": "llm-secondary", "attempts": {"llm-primary": 1, "llm-secondary": 1}}
FIRST = {"provider": "llm-primary", "attempts": {"llm-primary": 1}}
CACHED = {"provider": "llm-primary", "attempts": {"cache": 1}}
UNANSWERED: dict[str, Any] = {"outcome": "error", "attempts": {}}
KINDS = st.sampled_from([OTHER, OTHER, OTHER, FIRST, CACHED, UNANSWERED])


@st.composite
def served(draw: st.DrawFn) -> Window:
    return window(request(n, draw(MOMENTS), **draw(KINDS)) for n in range(draw(st.integers(0, 60))))


def counts(each: Request, *, called: bool) -> bool:
    """Whether a provider had to answer it; where no answer of the window tells of any call, all had."""
    return not called or each.outcome != "ok" or "llm-primary" in each.attempts or "llm-secondary" in each.attempts


@given(served(), st.sampled_from([0.5, 0.9, 1.0]).map(Share))
def test_it_is_the_share_answered_by_another_provider(given: Window, share: Share) -> None:
    called = any(name.startswith("llm") for each in given.requests for name in each.attempts)
    asked = [each for each in given.requests if counts(each, called=called)]
    verdict = failover(given, share=share)
    if len(asked) < 20 or all(each.provider is None or each.outcome != "ok" for each in asked):
        assert verdict.outcome == "inconclusive" or not any(each.outcome == "ok" for each in asked)
        return
    by_other = [each for each in asked if each.outcome == "ok" and each.provider == "llm-secondary"]
    assert verdict.outcome == ("passed" if len(by_other) >= share * len(asked) - 1e-9 else "failed")
    assert verdict.value == len(by_other) / len(asked)


@given(served(), MOMENTS, st.sampled_from([None, 2.0, 5.0]))
def test_a_request_that_nobody_answers_never_makes_it_pass(given: Window, at: float, within: Any) -> None:
    never_better_for_a_bad_one(failover, given, request(999, at, **UNANSWERED), within=within)
    never_better_for_a_bad_one(failover, given, request(999, at, **FIRST), within=within)


def over(count: int, start: float, kind: dict[str, Any], *, first: int = 0) -> list[Request]:
    return [request(first + n, start + n * 0.05, **kind) for n in range(count)]


def test_the_moment_from_which_on_the_other_answers_is_told() -> None:
    given = window([*over(20, 0.0, UNANSWERED), *over(100, 1.0, OTHER, first=20)])
    assert failover(given, share=Share(0.99)).outcome == "failed"
    verdict = failover(given, share=Share(0.99), within=Duration(2.0))
    assert (verdict.outcome, verdict.limit, verdict.unit) == ("passed", 2.0, "s")
    assert verdict.value == pytest.approx(0.95, abs=0.06)
    assert verdict.figure.endswith("last request not answered at 950 ms")
    assert failover(given, share=Share(0.99), within=Duration(0.5)).outcome == "failed"


def test_cached_answers_of_a_healthy_level_are_left_out_and_degraded_ones_are_not() -> None:
    others = over(30, 0.0, OTHER)
    healthy = [request(100 + n, 5.0, **CACHED) for n in range(30)]
    assert failover(window([*others, *healthy])).outcome == "passed"
    degraded = [request(100 + n, 5.0, level=4, **CACHED) for n in range(30)]
    assert failover(window([*others, *degraded])).outcome == "failed"


def test_answers_that_name_no_provider_prove_nothing() -> None:
    verdict = failover(window([request(n, 1.0) for n in range(40)]))
    assert (verdict.outcome, verdict.why) == ("inconclusive", "no answer names its provider")


def test_a_third_provider_is_not_the_one_asked_for() -> None:
    given = window(over(40, 0.0, {"provider": "llm-tertiary", "attempts": {"llm-tertiary": 1}}))
    assert failover(given).outcome == "passed"
    assert failover(given, to="llm-secondary").outcome == "failed"


@pytest.mark.parametrize("arguments", [{"share": 0.0}, {"within": 0.0}, {"to": "llm-primary"}])
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|another provider"):
        failover(window(), **arguments)
