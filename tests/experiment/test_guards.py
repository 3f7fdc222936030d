"""Abort conditions that could never fire, whichever stream of the load they look at."""

import pytest

from brownout.errors import InvalidInput
from brownout.experiment import Experiment
from brownout.guards import check_guards
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


def experiment(condition: str = "") -> Experiment:
    return parse_experiment(SOURCE.replace("over: 5s", f"over: 5s{condition}"), file="e.yaml")


@pytest.mark.parametrize("condition", ["", ", tier: free", ", load: spike", ", tier: free, load: spike"])
def test_a_condition_that_some_stream_gives_enough_to_see_is_fine(condition: str) -> None:
    check_guards(experiment(condition))


@pytest.mark.parametrize(
    ("condition", "rate"),
    [(", tier: enterprise", "2/s"), (", load: quiet", "2/s"), (", tier: enterprise, load: spike", "0/s")],
)
def test_a_condition_on_a_tier_or_stream_with_too_few_requests_is_refused(condition: str, rate: str) -> None:
    with pytest.raises(InvalidInput, match=f"could never fire: at {rate}") as caught:
        check_guards(experiment(condition))
    assert str(caught.value).startswith("e.yaml:10:5: ")
