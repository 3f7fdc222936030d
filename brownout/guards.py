"""Checks that could never tell, for want of requests: refused before anything starts."""

from collections.abc import Iterator, Mapping
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


def check_samples(experiment: Experiment, *, aborts: bool = True) -> None:
    """See that the checks that a whole run hangs on could tell, at the stated rates.

    A run whose steady state is inconclusive comes to no verdict, whatever happens later in it. And an inconclusive
    verdict never aborts; so a condition whose window holds too few requests would watch over nothing, in silence. Each
    is tried on a made-up window in which every request failed: one that cannot tell there, but could with more
    requests, is refused.

    Args:
        experiment: as it will run.
        aborts: whether its abort conditions are heeded.

    Raises:
        InvalidInput: the time before the first fault, or an abort condition's window, is too short for the load's rate.
        InvalidInputs: several are.
    """
    refuse([*_hardly_steady(experiment), *(_never_fire(experiment) if aborts else ())])


def _hardly_steady(experiment: Experiment) -> Iterator[InvalidInput]:
    length = experiment.first_fault
    for check in experiment.steady_state:
        streams = experiment.offered(**_whose(check))
        expected = sum(one.rate * max(0.0, min(one.end, length) - one.at) for one in streams)
        if not _tells(check, int(expected * _FEW), length) and _tells(check, _MANY, length):
            problem = (
                f"steady-state check {check.title!r} could hardly tell: the {length:.3g}s before the first fault hold "
                f"about {expected:.0f} requests, too few; let the fault begin later, or ask more often"
            )
            yield InvalidInput(problem, at=check.location, value=check.title)


def _never_fire(experiment: Experiment) -> Iterator[InvalidInput]:
    for condition in experiment.abort:
        rate = experiment.peak_rate(**_whose(condition))
        expected = rate * condition.over
        if not _tells(condition, int(expected * _FEW), condition.over) and _tells(condition, _MANY, condition.over):
            problem = (
                f"abort condition {condition.title!r} could never fire: at {rate:g}/s its window of "
                f"{condition.over:g}s holds about {expected:.0f} requests, too few to tell; make 'over' longer"
            )
            yield InvalidInput(problem, at=condition.location, value=condition.title)


def _tells(check: Check, count: int, length: float) -> bool:
    whose = _whose(check)
    requests = Requests.of(
        replace(_failed(number, length * number / max(count, 1)), **whose) for number in range(count)
    )
    window = Window(name="made up", start=0.0, end=length, requests=requests, history=())
    return registry.probes().get(check.probe)(window, **check.arguments).outcome != "inconclusive"


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
