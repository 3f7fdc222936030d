"""Availability: every request that was not fully answered counts against it."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Recording, Window
from brownout.probes.availability import availability
from brownout.units import Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

SHARES = st.sampled_from([0.5, 0.9, 0.95, 0.99, 1.0]).map(Share)


@given(windows(), SHARES)
def test_it_is_the_share_of_complete_answers(given: Window, least: Share) -> None:
    verdict = availability(given, at_least=least)
    served = [each for each in given.requests if each.outcome == "ok"]
    assert verdict.samples == len(given.requests)
    if len(given.requests) < 20:
        assert verdict.outcome == "inconclusive"
        return
    assert verdict.value == len(served) / len(given.requests)
    assert (verdict.outcome == "passed") == (len(served) >= least * len(given.requests) - 1e-9)


@given(windows(), SHARES)
def test_below_is_the_opposite_of_at_least(given: Window, share: Share) -> None:
    opposite = {"passed": "failed", "failed": "passed", "inconclusive": "inconclusive"}
    assert availability(given, below=share).outcome == opposite[availability(given, at_least=share).outcome]


@given(windows(), MOMENTS, SHARES)
def test_a_failed_request_never_makes_it_pass(given: Window, at: float, least: Share) -> None:
    never_better_for_a_bad_one(availability, given, request(999, at, outcome="error"), at_least=least)


@pytest.mark.parametrize("bad", ["error", "timeout", "cut", "refused", "pending"])
def test_only_a_complete_answer_counts(bad: str) -> None:
    verdict = availability(window([*evenly(99), request(99, 5.0, outcome=bad)]), at_least=Share(0.999))
    assert (verdict.outcome, verdict.figure) == ("failed", "99.0 %")
    assert verdict.why == "1 of 100 requests got no complete answer"


def test_a_rate_limited_request_is_a_failed_one() -> None:
    limited = request(99, 5.0, outcome="error", status=429, error_source="rate_limit")
    assert availability(window([*evenly(99), limited]), at_least=Share(1.0)).outcome == "failed"


def test_exactly_the_share_asked_for_is_enough() -> None:
    requests = [*evenly(999), request(999, 5.0, outcome="error")]
    assert availability(window(requests), at_least=Share(0.999)).outcome == "passed"


def test_nineteen_requests_are_too_few() -> None:
    verdict = availability(window(evenly(19)), at_least=Share(0.5))
    assert (verdict.outcome, verdict.why) == ("inconclusive", "19 requests; at least 20 are needed to tell")


def test_a_black_hole_breaches_an_abort_condition_although_nothing_ever_finishes() -> None:
    recording = Recording()
    for number in range(200):
        recording.request_started(number, number / 20)
    assert availability(recording.live_window(10.0, 5.0), below=Share(0.5)).outcome == "passed"


@pytest.mark.parametrize("arguments", [{}, {"at_least": 0.9, "below": 0.5}, {"at_least": 0.0}, {"below": 0.0}])
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|above 0%"):
        availability(window(), **arguments)
