"""Abort conditions that could never fire: refused before anything starts."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from brownout import registry
from brownout.errors import InvalidInput, refuse
from brownout.evidence.model import Request
from brownout.evidence.requests import Requests
from brownout.evidence.window import Window
from brownout.experiment import Check, Experiment
from brownout.parameters import parameters_of
from brownout.system import LoadName, TierName

_FEW = 0.6
"""Of the requests that a window holds on average: what a window of Poisson arrivals may well hold."""
_MANY = 1000


def check_guards(experiment: Experiment) -> None:
    """See that every abort condition could tell in its window, at the stated rate.

    An inconclusive verdict never aborts; so a condition whose window holds too few requests would watch over nothing,
    in silence. Each is tried on a made-up window in which every request failed: one that cannot tell there, but could
    with more requests, is refused.

    Raises:
        InvalidInput: an abort condition's window is too short for the load's rate.
    """
    problems = []
    for condition in experiment.abort:
        rate = experiment.peak_rate(**_whose(condition))
        expected = rate * condition.over
        if not _tells(condition, int(expected * _FEW)) and _tells(condition, _MANY):
            problem = (
                f"abort condition {condition.title!r} could never fire: at {rate:g}/s its window of "
                f"{condition.over:g}s holds about {expected:.0f} requests, too few to tell; make 'over' longer"
            )
            problems.append(InvalidInput(problem, at=condition.location, value=condition.title))
    refuse(problems)


def _tells(condition: Check, count: int) -> bool:
    whose = _whose(condition)
    requests = Requests.of(
        replace(_failed(number, condition.over * number / max(count, 1)), **whose) for number in range(count)
    )
    window = Window(name="abort", start=0.0, end=condition.over, requests=requests, history=())
    return registry.probes().get(condition.probe)(window, **condition.arguments).outcome != "inconclusive"


def _whose(condition: Check) -> Mapping[str, Any]:
    """Which requests a condition judges, where it says so."""
    parameters = parameters_of(registry.probes().get(condition.probe))
    return {
        one.name: condition.arguments[one.name]
        for one in parameters
        if one.type in (TierName, LoadName) and condition.arguments.get(one.name) is not None
    }


def _failed(number: int, at: float) -> Request:
    return Request(
        id=number,
        intended=at,
        sent=at,
        first_token=None,
        done=at,
        outcome="error",
        status=500,
        error="made up",
        error_source=None,
        question="",
        tenant="",
        tier="",
        policy="",
        stream=True,
    )
