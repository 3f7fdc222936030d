"""Scraped series: gauges and counters, and what is derived from them."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Sample, Transition, Window
from brownout.probes._series import increase, labels_of
from brownout.probes.detected import detected
from brownout.probes.metric import metric
from brownout.probes.retry_amplification import retry_amplification
from brownout.units import Duration
from tests.evidence.making import evenly, request, window

Labels = tuple[tuple[str, str], ...]


def scraped(values: list[float], *, labels: Labels = (), name: str = "queue_depth", start: float = 0.0) -> list[Sample]:
    return [Sample(start + n, "gateway", name, labels, value) for n, value in enumerate(values)]


# -- metric ------------------------------------------------------------------------------------------------------------

VALUES = st.lists(st.integers(0, 50).map(float), min_size=3, max_size=10)
READ: dict[str, Any] = {
    "last": lambda values: values[-1],
    "min": min,
    "max": max,
    "mean": lambda values: sum(values) / len(values),
}


@given(VALUES, st.sampled_from(sorted(READ)), st.integers(0, 50))
def test_a_gauge_is_read_as_asked(values: list[float], how: Any, bound: int) -> None:
    given = window(samples=scraped(values))
    expected = READ[how](values)
    verdict = metric(given, name="queue_depth", value=how, at_most=float(bound))
    assert verdict.value == expected
    assert verdict.outcome == ("passed" if expected <= bound else "failed")
    assert metric(given, name="queue_depth", value=how, at_least=float(bound)).outcome == (
        "passed" if expected >= bound else "failed"
    )


def test_sources_that_are_read_at_moments_of_their_own_are_added_up_as_they_stood() -> None:
    samples = [
        Sample(second + late, source, "calls_total", (), value)
        for source, late, value in (("inference-1", 0.0, 1000.0), ("inference-2", 0.02, 5000.0))
        for second in range(8)
    ]
    for how, expected in (("last", 6000), ("min", 6000), ("max", 6000), ("mean", 6000), ("increase", 0), ("rate", 0)):
        verdict = metric(window(samples=samples), name="calls_total", value=how, at_least=0.0)  # type: ignore[arg-type]
        assert (how, verdict.value) == (how, expected)


def test_what_is_no_number_is_inconclusive() -> None:
    samples = scraped([float("inf"), 1.0, float("-inf")])
    assert metric(window(samples=samples), name="queue_depth", value="mean", at_most=5.0).outcome == "inconclusive"


@given(st.lists(st.integers(0, 9), min_size=3, max_size=12), st.sets(st.integers(1, 11)))
def test_a_counter_grows_by_all_its_steps_whenever_it_begins_anew(steps: list[int], restarts: set[int]) -> None:
    value, values, grown = 0, [], 0
    for number, step in enumerate(steps):
        # A restart is seen only where the counter then stands lower than it did.
        if number in restarts and step < value:
            value, grown = step, grown + step
        else:
            value, grown = value + step, grown + step
        values.append(float(value))
    verdict = metric(window(samples=scraped(values)), name="queue_depth", value="increase", at_least=0.0)
    assert verdict.value == grown - steps[0]


def test_a_series_that_appears_late_grew_from_nothing() -> None:
    others = scraped([1.0, 1.0, 1.0, 1.0], labels=(("outcome", "ok"),))
    late = scraped([3.0, 5.0], labels=(("outcome", "provider"),), start=2.0)
    verdict = metric(window(samples=[*others, *late]), name="queue_depth", value="increase", at_least=0.0)
    assert (verdict.value, verdict.why) == (5.0, "2 series, added up")
    assert increase([(2.0, 3.0), (3.0, 5.0)], first_look=2.0) == 2.0


def test_a_rate_is_per_second() -> None:
    verdict = metric(window(samples=scraped([0.0, 10.0, 20.0, 30.0])), name="queue_depth", value="rate", at_least=10.0)
    assert (verdict.outcome, verdict.value) == ("passed", 10.0)


def test_only_series_with_those_labels_count() -> None:
    samples = [*scraped([1.0] * 5, labels=(("tier", "free"),)), *scraped([9.0] * 5, labels=(("tier", "pro"),))]
    given = window(samples=samples)
    assert metric(given, name="queue_depth", labels="tier=pro", at_most=50.0).value == 9.0
    assert metric(given, name="queue_depth", at_most=50.0).value == 10.0
    assert metric(given, name="queue_depth", source="proxy", at_most=50.0).outcome == "inconclusive"


def test_two_looks_are_too_few_and_what_is_no_number_is_no_look() -> None:
    verdict = metric(window(samples=scraped([1.0, float("nan"), 1.0])), name="queue_depth", at_most=5.0)
    assert (verdict.outcome, verdict.why) == (
        "inconclusive",
        "queue_depth was read 2 times; at least 3 are needed to tell",
    )
    assert metric(window(), name="queue_depth", at_most=5.0).why == "queue_depth was never seen"


@pytest.mark.parametrize(
    "arguments",
    [{}, {"at_least": 2.0, "at_most": 1.0}, {"at_least": 1.0, "labels": "tier"}, {"at_most": 1.0, "labels": "=x"}],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"needs at-least|must not be more|are written"):
        metric(window(), name="up", **arguments)


def test_labels_are_read_as_people_write_them() -> None:
    assert labels_of(' outcome = ok, dependency="vector-db" ') == {"outcome": "ok", "dependency": "vector-db"}
    assert labels_of(None) == {}


# -- retry amplification -----------------------------------------------------------------------------------------------


def calls(per_second: float, *, to: str = "llm-primary", outcome: str = "ok", seconds: int = 10) -> list[Sample]:
    labels = (("dependency", to), ("outcome", outcome))
    return scraped([100 + n * per_second for n in range(seconds)], labels=labels, name="dependency_calls_total")


@given(st.integers(0, 60), st.integers(0, 60), st.sampled_from([1.0, 1.5, 3.0]))
def test_it_is_the_calls_made_per_request_between_the_first_look_and_the_last(
    primary: int, secondary: int, most: float
) -> None:
    samples = [
        *calls(primary),
        *calls(secondary, to="llm-secondary"),
        *calls(500, outcome="refused"),
        *calls(500, to="x"),
    ]
    given = window(evenly(200), samples=samples)
    asked = sum(0 <= each.sent < 9 for each in given.requests)
    verdict = retry_amplification(given, to="llm-*", at_most=most)
    assert verdict.value == pytest.approx(9 * (primary + secondary) / asked)
    assert verdict.samples == asked
    assert verdict.outcome == ("passed" if verdict.value <= most else "failed")


def test_an_answer_that_took_more_calls_than_it_may_fails_it_whatever_the_mean() -> None:
    greedy = request(999, 5.0, attempts={"llm-primary": 2, "llm-secondary": 2, "cache": 9})
    given = window([*evenly(200), greedy], samples=calls(1))
    assert retry_amplification(given, to="llm-*", at_most=3.0, per_answer=4).outcome == "passed"
    verdict = retry_amplification(given, to="llm-*", at_most=3.0, per_answer=3)
    assert (verdict.outcome, verdict.figure) == ("failed", "4 calls for one answer")


def test_a_stack_whose_answers_tell_no_calls_does_not_pass_for_making_few() -> None:
    verdict = retry_amplification(window(evenly(200), samples=calls(1)), to="llm-*", at_most=3.0, per_answer=1)
    assert (verdict.outcome, verdict.why) == ("inconclusive", "no answer says what calls it took")


def test_a_counter_that_nobody_scraped_is_inconclusive() -> None:
    verdict = retry_amplification(window(evenly(200)), to="llm-*", at_most=3.0)
    assert (verdict.outcome, verdict.why) == ("inconclusive", "dependency_calls_total of llm-* was never seen")


def test_a_counter_of_another_name_and_label_can_be_named() -> None:
    samples = scraped([20.0 * n for n in range(10)], labels=(("upstream", "openai"),), name="upstream_requests")
    given = window(evenly(200), samples=samples)
    verdict = retry_amplification(given, to="openai", at_most=1.1, metric="upstream_requests", label="upstream")
    assert verdict.value == pytest.approx(1.0)


@pytest.mark.parametrize("arguments", [{"at_most": 0.0}, {"at_most": 1.0, "per_answer": 0}])
def test_limits_that_nothing_can_meet_are_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="above 0"):
        retry_amplification(window(), to="llm-*", **arguments)


# -- detected ----------------------------------------------------------------------------------------------------------


@st.composite
def histories(draw: st.DrawFn) -> list[Transition]:
    moments = draw(st.lists(st.integers(0, 30).map(float), max_size=5))
    names = st.sampled_from(["vector-db", "cache"])
    return [Transition(at, draw(names), "closed", draw(st.sampled_from(["open", "half-open"]))) for at in moments]


@given(histories(), st.sampled_from([None, "vector-db"]), st.sampled_from([1.0, 5.0, 20.0, 30.0]))
def test_the_first_breaker_that_opens_detects_it(history: list[Transition], dependency: Any, within: float) -> None:
    seen = [each for each in history if each.at < 30 and dependency in (None, each.dependency)]
    verdict = detected(
        window(start=10.0, end=30.0, history=[each for each in history if each.at < 30]),
        within=Duration(within),
        dependency=dependency,
    )
    opened = [each.at - 10 for each in seen if each.new == "open" and each.at >= 10]
    if opened:
        assert verdict.value == min(opened)
        assert verdict.outcome == ("passed" if min(opened) <= within else "failed")
    else:
        assert verdict.outcome == ("inconclusive" if not seen or within > 20 else "failed")


def alerting(values: list[float], *, before: list[float] | None = None) -> Window:
    baseline = None if before is None else window(end=10.0, samples=scraped(before))
    return window(start=10.0, end=30.0, samples=scraped(values, start=10.5), baseline=baseline)


def test_a_metric_that_reaches_its_level_detects_it() -> None:
    verdict = detected(alerting([0.0, 0.0, 1.0, 1.0]), within=Duration(5.0), metric="queue_depth")
    assert (verdict.outcome, verdict.value, verdict.why) == ("passed", 2.5, "queue_depth 1")
    assert detected(alerting([0.0, 0.0]), within=Duration(5.0), metric="queue_depth").outcome == "failed"


def test_a_metric_that_said_so_before_the_fault_proves_nothing() -> None:
    verdict = detected(alerting([1.0, 1.0], before=[0.0, 1.0]), within=Duration(5.0), metric="queue_depth")
    assert (verdict.outcome, verdict.why) == ("inconclusive", "queue_depth was 1 before the fault was on")


@pytest.mark.parametrize(
    "arguments",
    [
        {"within": 0.0},
        {"within": 1.0, "metric": "a", "dependency": "b"},
        {"within": 1.0, "labels": "a=b"},
        {"within": 1.0, "metric": "a", "labels": "b"},
    ],
)
def test_detecting_by_nonsense_is_refused(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"above 0|one of|belong|are written"):
        detected(window(), **arguments)
