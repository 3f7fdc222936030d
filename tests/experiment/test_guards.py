"""Checks that could never tell, whichever stream of the load they look at."""

import pytest

from brownout.errors import InvalidInput, InvalidInputs
from brownout.experiment import Experiment
from brownout.guards import check_samples
from brownout.reader import parse_experiment

SOURCE = """\
title: T
hypothesis: H
steady-state: [{availability: {at-least: 99%}}]
load:
  - {name: quiet, rate: 2/s, tier: enterprise}
  - {name: spike, rate: 50/s, tier: free, at: 10s, for: 10s}
duration: 40s
method: []
abort:
  - availability: {below: 50%, over: 5s}
"""


NO_REQUESTS = "breaker: {dependency: x, state: closed}"


def experiment(condition: str = "", *, steady: str = NO_REQUESTS) -> Experiment:
    source = SOURCE.replace("availability: {at-least: 99%}", steady).replace("over: 5s", f"over: 5s{condition}")
    return parse_experiment(source, file="e.yaml")


@pytest.mark.parametrize("condition", ["", ", tier: free", ", load: spike", ", tier: free, load: spike"])
def test_a_condition_that_some_stream_gives_enough_to_see_is_fine(condition: str) -> None:
    check_samples(experiment(condition))


@pytest.mark.parametrize(
    ("condition", "rate"),
    [(", tier: enterprise", "2/s"), (", load: quiet", "2/s"), (", tier: enterprise, load: spike", "0/s")],
)
def test_a_condition_on_a_tier_or_stream_with_too_few_requests_is_refused(condition: str, rate: str) -> None:
    with pytest.raises(InvalidInput, match=f"could never fire: at {rate}") as caught:
        check_samples(experiment(condition))
    assert str(caught.value).startswith("e.yaml:10:5: ")


def test_a_steady_state_that_holds_enough_requests_is_fine() -> None:
    check_samples(parse_experiment(SOURCE.replace("rate: 2/s", "rate: 5/s"), file="e.yaml"))


@pytest.mark.parametrize(
    ("scale", "check"),
    [(0.1, "availability: {at-least: 99%}"), (0.5, "availability: {at-least: 99%, tier: enterprise}")],
)
def test_a_steady_state_that_holds_too_few_requests_to_tell_is_refused(scale: float, check: str) -> None:
    short = parse_experiment(SOURCE.replace("availability: {at-least: 99%}", check), file="e.yaml").scaled(scale)
    with pytest.raises(InvalidInput, match=r"could hardly tell: the \ds before the first fault hold about") as caught:
        check_samples(short)
    assert str(caught.value).startswith("e.yaml:3:17: ")


def test_a_check_that_more_requests_would_not_help_is_none_of_its_business() -> None:
    check_samples(experiment().scaled(0.1))


def test_questions_about_written_documents_are_load_like_any_other() -> None:
    source = SOURCE.replace("method: []", "method: []\nwrites: {rate: 9/s}")
    source = source.replace("availability: {at-least: 99%}", "availability: {at-least: 99%, load: writes}")
    source = source.replace("over: 5s", "over: 5s, load: writes")
    one = parse_experiment(source, file="e.yaml")
    check_samples(one)
    with pytest.raises(InvalidInput, match="hold about 9 requests"):
        check_samples(one.scaled(0.1))


def test_all_of_them_are_told_at_once_unless_nobody_heeds_the_aborts() -> None:
    both = experiment(", tier: enterprise", steady="availability: {at-least: 99%, tier: enterprise}")
    with pytest.raises(InvalidInputs, match=r"(?s)could hardly tell.*could never fire"):
        check_samples(both)
    with pytest.raises(InvalidInput, match="could hardly tell"):
        check_samples(both, aborts=False)
