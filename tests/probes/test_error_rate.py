"""Error rates: of all failures, or of one source's alone."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Window
from brownout.probes.availability import availability
from brownout.probes.error_rate import error_rate
from brownout.units import Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

LIMITS = st.sampled_from([0.0, 0.05, 0.1, 0.5]).map(Share)
SOURCES = st.sampled_from([None, "provider", "own_system", "rate_limit", "unstated"])


@given(windows(), LIMITS, SOURCES)
def test_it_is_the_share_of_failures_of_that_source(given: Window, most: Share, source: Any) -> None:
    verdict = error_rate(given, at_most=most, source=source)
    failed = [
        each
        for each in given.requests
        if each.outcome != "ok" and (source is None or (each.error_source or "unstated") == source)
    ]
    if len(given.requests) < 20:
        assert verdict.outcome == "inconclusive"
        return
    assert verdict.value == len(failed) / len(given.requests)
    assert verdict.outcome == ("passed" if len(failed) <= most * len(given.requests) + 1e-9 else "failed")
    assert verdict.low is not None
    assert verdict.high is not None
    assert verdict.low <= verdict.value <= verdict.high


@given(windows())
def test_without_a_source_it_is_what_is_missing_from_availability(given: Window) -> None:
    opposite = availability(given, at_least=Share(0.9))
    assert error_rate(given, at_most=Share(0.1)).outcome in (opposite.outcome, "inconclusive")


@given(windows(), LIMITS, SOURCES)
def test_above_is_the_opposite_of_at_most(given: Window, share: Share, source: Any) -> None:
    opposite = {"passed": "failed", "failed": "passed", "inconclusive": "inconclusive"}
    below = error_rate(given, at_most=share, source=source).outcome
    assert error_rate(given, above=share, source=source).outcome == opposite[below]


@given(windows(), MOMENTS, LIMITS)
def test_a_failed_request_never_makes_it_pass(given: Window, at: float, most: Share) -> None:
    bad = request(999, at, outcome="error", error_source="provider")
    never_better_for_a_bad_one(error_rate, given, bad, at_most=most)
    never_better_for_a_bad_one(error_rate, given, bad, at_most=most, source="provider")


def test_it_tells_who_was_at_fault() -> None:
    failed = [request(90 + n, 5.0, outcome="error", error_source="provider") for n in range(7)]
    failed += [request(97 + n, 5.0, outcome="refused") for n in range(3)]
    verdict = error_rate(window([*evenly(90), *failed]), at_most=Share(0.01), source="provider")
    assert (verdict.outcome, verdict.figure) == ("failed", "7.0 % (provider)")
    assert verdict.why == "7 provider, 3 unstated"


def test_no_error_at_all_may_be_asked_for() -> None:
    assert error_rate(window(evenly(100)), at_most=Share(0.0)).outcome == "passed"


@pytest.mark.parametrize("arguments", [{}, {"at_most": 0.1, "above": 0.1}, {"at_most": 1.0}, {"above": 1.0}])
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|nothing could"):
        error_rate(window(), **arguments)
