"""Endpoints and replicas, as a cluster tells them."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Requests, Sample, Window
from brownout.probes.endpoints import endpoints
from brownout.probes.scaled_out import scaled_out
from brownout.system import ServiceName
from brownout.units import Duration

INFERENCE = ServiceName("inference")
START, EVERY = 20.0, 0.5


def counted(*series: Sequence[int], wanted: Sequence[int] = ()) -> Window:
    """A window in which each Service of inference was seen to have so many endpoints, twice a second."""
    told = [("service_endpoints", f"inference-{number}", counts) for number, counts in enumerate(series)]
    told += [("autoscaler_desired_replicas", "inference", wanted)] if wanted else []
    samples = [
        Sample(START + index * EVERY, "target", metric, (("service", "inference"), ("endpoints", name)), float(count))
        for metric, name, counts in told
        for index, count in enumerate(counts)
    ]
    longest = max(map(len, series), default=0)
    return Window("during", START, START + longest * EVERY, Requests.of(), (), tuple(samples))


def test_as_many_as_asked_for_at_every_look_pass() -> None:
    verdict = endpoints(counted([2] * 10), service=INFERENCE, at_least=2)
    assert (verdict.outcome, verdict.figure, verdict.threshold) == ("passed", "2 at the least", "at least 2")
    assert (verdict.value, verdict.limit, verdict.samples) == (2.0, 2.0, 10)


def test_one_look_with_fewer_fails_and_says_for_how_long() -> None:
    window = counted([2] * 4 + [1] * 3 + [2] * 4)
    verdict = endpoints(window, service=INFERENCE, at_least=2)
    assert (verdict.outcome, verdict.figure, verdict.why) == ("failed", "1 at the least", "fewer than 2 for 1.5 s")
    assert endpoints(window, service=INFERENCE, at_least=1).outcome == "passed"


def test_a_pod_that_is_replaced_has_time_for_it_and_one_that_never_is_fails() -> None:
    replaced, never = counted([1] * 6 + [2] * 10), counted([1] * 16)
    arguments: dict[str, Any] = {"service": INFERENCE, "at_least": 2, "within": Duration(3.0)}
    verdict = endpoints(replaced, **arguments)
    assert (verdict.outcome, verdict.threshold) == ("passed", "at least 2 within 3 s")
    assert verdict.figure == "2 at the least after the first 3 s"
    assert endpoints(never, **arguments).outcome == "failed"
    assert endpoints(replaced, service=INFERENCE, at_least=2, within=Duration(2.5)).outcome == "failed"


def test_of_several_services_with_the_same_pods_the_worst_decides() -> None:
    assert endpoints(counted([2] * 9, [0] * 9), service=INFERENCE, at_least=1).outcome == "failed"


def test_a_service_of_which_nothing_is_known_or_too_little_is_inconclusive() -> None:
    stranger = endpoints(counted([2] * 9), service=ServiceName("cache"), at_least=1)
    assert stranger.why == "nothing was recorded of cache; of these it was: inference"
    assert endpoints(counted(), service=INFERENCE, at_least=1).why.endswith("nor of any other service")
    few = endpoints(counted([2] * 2), service=INFERENCE, at_least=1)
    assert few.why == "2 looks at the endpoints of inference; at least 3 are needed to tell"


@given(counts=st.lists(st.integers(0, 4), min_size=3, max_size=30), at_least=st.integers(1, 4))
def test_it_is_the_least_of_them_that_counts(counts: list[int], at_least: int) -> None:
    verdict = endpoints(counted(counts), service=INFERENCE, at_least=at_least)
    assert verdict.outcome == ("passed" if min(counts) >= at_least else "failed")


def scaled(window: Window, to: int = 3, within: float = 4.0) -> Any:
    return scaled_out(window, service=INFERENCE, to=to, within=Duration(within))


def test_a_service_that_comes_to_have_so_many_in_time_passes_and_its_autoscaler_is_named() -> None:
    window = counted([2] * 6 + [3] * 6, wanted=[2] * 4 + [3] * 8)
    verdict = scaled(window)
    assert (verdict.outcome, verdict.figure, verdict.threshold) == ("passed", "3 after 3 s", "3 replicas within 4 s")
    assert verdict.why == "its autoscaler wanted so many after 2 s"
    assert (verdict.value, verdict.limit, verdict.unit) == (3.0, 4.0, "s")
    assert scaled(window, within=2.0).outcome == "failed"
    assert scaled(counted([2] * 6 + [3] * 6)).why == "it has no autoscaler"


def test_replicas_that_are_wanted_and_do_not_come_or_are_not_wanted_fail() -> None:
    stuck, idle = counted([2] * 12, wanted=[3] * 12), counted([2] * 12, wanted=[2] * 12)
    assert (scaled(stuck).outcome, scaled(stuck).figure) == ("failed", "2 at the most")
    assert scaled(stuck).why == "its autoscaler wanted so many after 0 s"
    assert (scaled(idle).outcome, scaled(idle).why) == ("failed", "its autoscaler wanted 2 at the most")


def test_what_shows_nothing_is_inconclusive() -> None:
    assert "had 3 when the window began" in scaled(counted([3] * 12)).why
    assert "the window is only 3 s long" in scaled(counted([2] * 6)).why
    # Windows are cut when a fault was really off, which is never to the millisecond.
    assert scaled(counted([2] * 8), within=4.01).outcome == "failed"
    assert "at least 3 are needed" in scaled(counted([2] * 2)).why
    assert "nothing was recorded" in scaled(counted()).why


@given(counts=st.lists(st.integers(0, 4), min_size=9, max_size=30), at=st.integers(1, 29))
def test_one_replica_less_never_makes_it_pass(counts: list[int], at: int) -> None:
    before = scaled(counted(counts)).outcome
    fewer = [count - (index == at % len(counts)) * (index > 0) for index, count in enumerate(counts)]
    if before == "failed":
        assert scaled(counted(fewer)).outcome == "failed"


@pytest.mark.parametrize(
    ("judge", "why"),
    [
        (lambda: endpoints(counted(), service=INFERENCE, at_least=0), "at-least must be 1 or more"),
        (lambda: endpoints(counted(), service=INFERENCE, at_least=1, within=Duration(0)), "within must be above 0"),
        (lambda: scaled(counted(), to=1), "to must be 2 or more"),
        (lambda: scaled(counted(), within=0.0), "within must be above 0"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(judge: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        judge()
