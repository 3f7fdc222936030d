"""A restart: after its moment the service is ready to the window's end."""

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Requests, Sample, Window
from brownout.probes.restart import restart
from brownout.system import ServiceName
from brownout.units import Duration

DB = ServiceName("vector-db")
EVERY = 0.25


def watched(ready: Sequence[bool], *, restarts: int | Sequence[int] = 1, service: str = "vector-db") -> Window:
    """A window in which a service was seen to be ready or not, four times a second."""
    labels = (("service", service),)
    counts = [restarts] * len(ready) if isinstance(restarts, int) else restarts
    samples = [
        Sample(index * EVERY, "target", metric, labels, float(value))
        for index, (is_ready, count) in enumerate(zip(ready, counts, strict=True))
        for metric, value in (("service_ready", is_ready), ("service_restarts_total", count), ("service_up", 1))
    ]
    return Window("during", 0.0, len(ready) * EVERY, Requests.of(), (), tuple(samples))


def test_a_service_that_is_back_in_time_passes_and_says_when() -> None:
    verdict = restart(watched([True] + [False] * 9 + [True] * 30), service=DB, within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("passed", "ready after 2.5 s, after 1 restart")
    assert (verdict.value, verdict.limit, verdict.unit, verdict.samples) == (2.5, 5.0, "s", 40)
    assert verdict.threshold == "ready again within 5 s"


def test_a_service_that_is_back_too_late_fails() -> None:
    verdict = restart(watched([False] * 24 + [True] * 16), service=DB, within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "ready after 6 s, after 1 restart")


def test_a_service_that_goes_away_again_was_not_back() -> None:
    ready = [False] * 4 + [True] * 20 + [False] * 4 + [True] * 12
    verdict = restart(watched(ready, restarts=[1] * 28 + [2] * 12), service=DB, within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "ready after 7 s, after 2 restarts")


def test_a_service_that_is_restarted_too_often_fails_however_soon_it_is_ready() -> None:
    window = watched([False] * 4 + [True] * 36, restarts=3)
    assert restart(window, service=DB, within=Duration(5.0), at_most=3).outcome == "passed"
    verdict = restart(window, service=DB, within=Duration(5.0), at_most=2)
    assert (verdict.outcome, verdict.threshold) == ("failed", "ready again within 5 s, after 2 restarts at most")


def test_a_service_that_does_not_come_back_fails_once_it_should_have() -> None:
    verdict = restart(watched([False] * 40), service=DB, within=Duration(5.0))
    assert (verdict.outcome, verdict.figure) == ("failed", "not ready after 10 s, after 1 restart")
    short = restart(watched([False] * 8), service=DB, within=Duration(5.0))
    assert (short.outcome, short.why) == (
        "inconclusive",
        "the window is only 2 s long, and it was not ready by its end",
    )


def test_a_service_that_was_never_restarted_shows_nothing() -> None:
    for ready in ([True] * 40, [False] * 4 + [True] * 36):
        verdict = restart(watched(ready, restarts=0), service=DB, within=Duration(5.0))
        assert (verdict.outcome, verdict.why) == ("inconclusive", "vector-db was not started again up to then")


def test_a_restart_before_the_window_shows_that_it_is_ready_from_its_start() -> None:
    verdict = restart(watched([True] * 40), service=DB, within=Duration(5.0))
    assert (verdict.outcome, verdict.figure, verdict.value) == ("passed", "ready from the start, after 1 restart", 0.0)


def test_what_was_recorded_of_others_says_nothing() -> None:
    verdict = restart(watched([True] * 40, service="cache"), service=DB, within=Duration(5.0))
    assert verdict.outcome == "inconclusive"
    assert verdict.why == "nothing was recorded of vector-db; of these it was: cache"


@given(st.lists(st.booleans(), min_size=1, max_size=60), st.integers(0, 59))
def test_being_away_once_more_never_makes_it_pass(ready: list[bool], index: int) -> None:
    worse = [one and at != index for at, one in enumerate(ready)]
    if restart(watched(ready), service=DB, within=Duration(5.0)).outcome == "failed":
        assert restart(watched(worse), service=DB, within=Duration(5.0)).outcome == "failed"


@pytest.mark.parametrize("arguments", [{"within": 0.0}, {"within": 5.0, "at_most": 0}])
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|at least 1"):
        restart(Window("", 0.0, 0.0, Requests.of(), ()), service=DB, **arguments)


def replicas(*states: tuple[Sequence[float], int]) -> Window:
    """The replicas db-1, db-2, ...: how ready each was at each look, and how often it was started again."""
    samples = []
    for number, (ready, count) in enumerate(states, start=1):
        labels = (("service", f"db-{number}"),)
        for look, value in enumerate(ready):
            samples += [
                Sample(look * EVERY, "target", "service_ready", labels, value),
                Sample(look * EVERY, "target", "service_restarts_total", labels, float(count)),
            ]
    return Window("during", 0.0, len(states[0][0]) * EVERY, Requests.of(), (), tuple(samples))


@pytest.mark.parametrize(
    ("states", "outcome"),
    [
        ([([1, 1, 1, 1], 0), ([1, 0, 1, 1], 1)], "passed"),
        ([([1, 0, 1, 1], 1), ([1, 0, 0, 0], 1)], "failed"),
        ([([1, 1, 1, 1], 0), ([1, 1, 1, 1], 0)], "inconclusive"),
    ],
)
def test_of_a_service_with_replicas_the_worst_that_was_started_again_decides(
    states: list[tuple[Sequence[float], int]], outcome: str
) -> None:
    verdict = restart(replicas(*states), service=ServiceName("db"), within=Duration(1.0))
    assert verdict.outcome == outcome
