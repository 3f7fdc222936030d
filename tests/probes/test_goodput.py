"""Goodput: complete answers that were in time in every way that is stated."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.goodput import goodput
from brownout.units import Latency, Rate, Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

LIMITS = st.fixed_dictionaries(
    {}, optional={name: st.sampled_from([0.125, 0.25, 0.5]) for name in ("ttft", "tpot", "total")}
).filter(bool)


def good(each: Request, limits: dict[str, float]) -> bool:
    measured = {"ttft": each.ttft, "tpot": each.tpot or 0.0, "total": each.total}
    return each.outcome == "ok" and all(
        (one := measured[name]) is not None and one <= limit for name, limit in limits.items()
    )


@given(windows(), LIMITS, st.sampled_from([0.1, 0.5, 1.0]))
def test_it_is_the_share_of_answers_that_meet_every_limit(given: Window, limits: Any, share: float) -> None:
    count = sum(good(each, limits) for each in given.requests)
    verdict = goodput(given, share=Share(share), **limits)
    per_second = goodput(given, at_least=Rate(share * 5), **limits)
    if len(given.requests) < 20:
        assert verdict.outcome == per_second.outcome == "inconclusive"
        return
    assert verdict.value == count / len(given.requests)
    assert per_second.value == count / 10
    assert verdict.outcome == ("passed" if count >= share * len(given.requests) - 1e-9 else "failed")
    assert per_second.outcome == ("passed" if count / 10 >= share * 5 else "failed")


@given(windows(), MOMENTS, LIMITS)
def test_a_failed_request_never_makes_it_pass(given: Window, at: float, limits: Any) -> None:
    bad = request(999, at, outcome="error", ttft=None)
    never_better_for_a_bad_one(goodput, given, bad, share=Share(0.5), **limits)
    never_better_for_a_bad_one(goodput, given, bad, at_least=Rate(3.0), **limits)


def test_answers_that_are_complete_but_late_are_no_goodput() -> None:
    slow = [request(90 + n, 5.0, ttft=3.0, total=9.0) for n in range(10)]
    verdict = goodput(window([*evenly(90), *slow]), ttft=Latency(0.5), at_least=Rate(9.5))
    assert (verdict.outcome, verdict.figure, verdict.why) == ("failed", "9/s", "90 of 100 requests")


@pytest.mark.parametrize(
    "arguments",
    [{}, {"share": 0.9}, {"ttft": 1.0}, {"ttft": 0.0, "share": 0.9}, {"ttft": 1.0, "share": 0.9, "at_least": 1.0}],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|needs ttft"):
        goodput(window(), **arguments)
