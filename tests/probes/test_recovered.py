"""Recovery: after its moment every stretch to the end holds the levels."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.recovered import recovered
from brownout.units import Duration, Latency, Share
from tests.evidence.making import evenly, request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

WITHIN = st.sampled_from([0.5, 2.0, 5.0, 20.0]).map(Duration)
LEVELS = st.sampled_from(
    [{"ttft_p95": Latency(0.25)}, {"availability": Share(0.9)}, {"ttft_p95": Latency(0.5), "availability": Share(0.7)}]
)


def holds(stretch: list[Request], levels: dict[str, Any]) -> bool:
    available = sum(each.outcome == "ok" for each in stretch) / len(stretch) >= float(levels.get("availability", 0))
    slow = sorted(float("inf") if each.ttft is None else each.ttft for each in stretch)
    # Nearest rank of the 95th percentile, by hand: the smallest value that 95 of 100 do not exceed.
    p95 = next(value for n, value in enumerate(slow, start=1) if n * 100 >= 95 * len(slow))
    return available and p95 <= float(levels.get("ttft_p95", "inf"))


def stretches_of(given: Window) -> list[tuple[Request, list[Request]]]:
    """The stretch that begins with each request; without those that the window's end cuts."""
    rows = list(given.requests)
    stretches = []
    for index, start in enumerate(rows):
        within_two = [each for each in rows[index:] if each.intended < start.intended + 2.0]
        stretch = rows[index : index + max(len(within_two), 20)]
        if len(stretch) >= 20 and start.intended + 2.0 <= given.end:
            stretches.append((start, stretch))
    return stretches


@given(windows(most=120), LEVELS, WITHIN)
def test_recovery_is_told_by_the_last_stretch_that_breaks_a_level(
    given: Window, levels: dict[str, Any], within: Duration
) -> None:
    verdict = recovered(given, within=within, **levels)
    stretches = stretches_of(given)
    broken = [each for each, stretch in stretches if not holds(stretch, levels)]
    if not stretches:
        assert verdict.outcome == "inconclusive"
    elif not broken:
        assert (verdict.outcome, verdict.value) == ("passed", 0.0)
    elif broken[-1].intended > within:
        assert verdict.outcome == "failed"
    else:
        assert verdict.outcome == ("inconclusive" if broken[-1] is stretches[-1][0] else "passed")


@given(windows(most=120), MOMENTS, LEVELS, WITHIN)
def test_a_failed_request_never_makes_it_pass(
    given: Window, at: float, levels: dict[str, Any], within: Duration
) -> None:
    never_better_for_a_bad_one(recovered, given, request(999, at, outcome="error", ttft=None), within=within, **levels)


def run(*, broken_until: float, end: float = 30.0) -> Window:
    requests = [
        each if each.intended >= broken_until else request(each.id, each.intended, outcome="error", ttft=None)
        for each in evenly(int(20 * end), end=end)
    ]
    return window(requests, end=end)


def test_a_recovery_in_time_passes_and_says_when() -> None:
    verdict = recovered(run(broken_until=6.25), within=Duration(15.0), ttft_p95=Latency(0.5), availability=Share(0.999))
    assert (verdict.outcome, verdict.figure) == ("passed", "recovered after 6.2 s")
    assert verdict.threshold == "ttft p95 at most 500 ms and availability at least 99.9 % within 15 s"
    assert (verdict.limit, verdict.unit) == (15.0, "s")
    assert verdict.value == pytest.approx(6.2)


def test_a_late_recovery_fails_and_says_when() -> None:
    verdict = recovered(run(broken_until=17.0), within=Duration(15.0), availability=Share(0.999))
    assert (verdict.outcome, verdict.figure) == ("failed", "recovered after 16.9 s")


def test_a_system_that_never_recovers_fails() -> None:
    verdict = recovered(run(broken_until=30.0), within=Duration(15.0), availability=Share(0.999))
    assert (verdict.outcome, verdict.figure) == ("failed", "not recovered after 30 s")


def test_a_lucky_moment_in_between_is_no_recovery() -> None:
    requests = list(run(broken_until=3.0).requests)
    requests = [
        request(each.id, each.intended, outcome="error", ttft=None) if 18 <= each.intended < 18.5 else each
        for each in requests
    ]
    verdict = recovered(window(requests, end=30.0), within=Duration(15.0), availability=Share(0.999))
    assert (verdict.outcome, verdict.figure) == ("failed", "recovered after 18.4 s")


def test_a_system_that_was_never_unwell_has_recovered_at_once() -> None:
    verdict = recovered(run(broken_until=0.0), within=Duration(1.0), ttft_p95=Latency(0.5))
    assert (verdict.outcome, verdict.figure) == ("passed", "held from the start")


def test_a_window_that_ends_too_soon_to_tell_is_inconclusive() -> None:
    verdict = recovered(run(broken_until=4.0, end=4.5), within=Duration(15.0), availability=Share(0.999))
    assert verdict.outcome == "inconclusive"
    assert recovered(window(evenly(19)), within=Duration(5.0), availability=Share(0.9)).outcome == "inconclusive"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"availability": 0.0}, {"ttft_p95": 0.0}, {"availability": 0.9, "within": 0.0}],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs|above 0"):
        recovered(window(), **({"within": 5.0} | arguments))


def test_levels_that_have_not_held_for_long_enough_prove_no_recovery() -> None:
    given = run(broken_until=3.0)
    arguments = {"within": Duration(5.0), "availability": Share(0.9)}
    held = recovered(given, for_=Duration(5.0), **arguments)
    assert held.outcome == recovered(given, **arguments).outcome == "passed"
    brief = recovered(given, for_=Duration(28.0), **arguments)
    assert brief.outcome == "inconclusive"
    assert "had held for only" in brief.why
