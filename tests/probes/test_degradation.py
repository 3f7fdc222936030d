"""Degradation: the share of answers of a level, throughout or from some moment on."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Window
from brownout.probes.degradation import degradation
from brownout.units import Duration, Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

SHARES = st.sampled_from([0.5, 0.8, 0.95, 1.0]).map(Share)
WITHIN = st.sampled_from([0.5, 2.0, 5.0, 20.0]).map(Duration)
WANTED = st.sampled_from([{"level": 0}, {"level": 1}, {"at_least": 0}, {"at_least": 1}])


def fits(level: int | None, wanted: dict[str, int]) -> bool:
    if level is None:
        return False
    return level == wanted["level"] if "level" in wanted else level >= wanted["at_least"]


@given(windows(), WANTED, SHARES)
def test_it_is_the_share_of_the_answers(given: Window, wanted: dict[str, Any], share: Share) -> None:
    verdict = degradation(given, **wanted, share=share)
    answers = [each for each in given.requests if each.outcome == "ok"]
    assert verdict.samples == len(answers)
    if len(answers) < 20:
        assert verdict.outcome == "inconclusive"
        return
    count = sum(fits(each.level, wanted) for each in answers)
    assert verdict.outcome == ("passed" if count / len(answers) >= share else "failed")


@given(windows(), WANTED, SHARES, WITHIN)
def test_within_passes_where_some_early_moment_has_the_share_from_it_to_the_end(
    given: Window, wanted: dict[str, Any], share: Share, within: Duration
) -> None:
    verdict = degradation(given, **wanted, share=share, within=within)
    answers = [each for each in given.requests if each.outcome == "ok"]
    moments = [0.0, *(each.intended for each in answers if each.intended <= within), within]
    rests = [[fits(each.level, wanted) for each in answers if each.intended >= moment] for moment in moments]
    holds = [len(rest) >= 20 and sum(rest) / len(rest) >= share for rest in rests]
    if any(holds):
        assert verdict.outcome == "passed"
        assert verdict.value == min(moment for moment, held in zip(moments, holds, strict=True) if held)
    else:
        assert verdict.outcome == ("failed" if len(rests[-1]) >= 20 else "inconclusive")


@given(windows(), MOMENTS, WANTED, SHARES, st.none() | WITHIN)
def test_an_answer_of_another_level_never_makes_it_pass(
    given: Window, at: float, wanted: dict[str, Any], share: Share, within: Duration | None
) -> None:
    never_better_for_a_bad_one(degradation, given, request(999, at, level=None), **wanted, share=share, within=within)


def test_an_answer_that_names_no_level_counts_against_it() -> None:
    verdict = degradation(window([*evenly(90), *evenly(10, level=None)]), level=0, share=Share(0.95))
    assert (verdict.outcome, verdict.value) == ("failed", 0.9)


def test_the_figure_tells_when_the_last_other_answer_was() -> None:
    requests = [*evenly(200), request(500, 3.25, level=2)]
    verdict = degradation(window(requests), level=0)
    assert verdict.figure == "99.5 % at level 0; last answer of level 2 at 3.25 s"


def test_with_within_the_figure_tells_from_when_on_it_held() -> None:
    requests = [*evenly(40, end=4.0, level=1), *(request(100 + n, 4.0 + n / 20) for n in range(100))]
    verdict = degradation(window(requests), level=0, share=Share(1.0), within=Duration(5.0))
    assert verdict.figure == "100 % at level 0 from 4 s on; last answer of level 1 at 3.9 s"
    assert (verdict.value, verdict.limit) == (4.0, 5.0)
    late = degradation(window(requests), level=0, share=Share(1.0), within=Duration(3.0))
    assert late.outcome == "failed"
    assert late.value == pytest.approx(3.9)


def test_failed_requests_do_not_count_as_degraded() -> None:
    requests = [*evenly(50), *evenly(50, outcome="error", level=None)]
    assert degradation(window(requests), level=0).outcome == "passed"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"level": 0, "at_least": 1}, {"level": -1}, {"level": 0, "share": 0.0}, {"level": 0, "within": 0.0}],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|above|0 or above"):
        degradation(window(), **arguments)
