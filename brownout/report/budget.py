"""The error budget that a run would have burnt, had its users been everybody's."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.evidence.model import Request
from brownout.experiment import Experiment
from brownout.report.figures import BROKEN, Part
from brownout.slo import MONTH, budget, burn_rate
from brownout.units import Share


@dataclass(frozen=True, slots=True)
class Objective:
    """What share of requests must be good, and what a good one is."""

    share: Share
    ttft: float | None = None
    """Seconds within which its first token came; None where a complete answer is enough."""
    total: float | None = None
    """Seconds within which it was complete."""

    def met_by(self, request: Request) -> bool:
        if request.outcome != "ok":
            return False
        in_time = self.ttft is None or (request.ttft is not None and request.ttft <= self.ttft)
        return in_time and (self.total is None or (request.total is not None and request.total <= self.total))


@dataclass(frozen=True, slots=True)
class Burnt:
    """What one part of a run took of a month's budget."""

    name: str
    bad: int
    of: int
    seconds: float
    """Of the part."""
    rate: float
    """How many times faster than the objective allows: 1 spends a month's budget in a month."""
    spent: float
    """Seconds of total outage that come to the same."""
    of_month: float
    """The share of a 30-day month's budget that this is; above 1 where it is more than all of it."""
    lasts: float | None
    """Seconds until a month's whole budget is gone at this rate; None where none is spent."""


@dataclass(frozen=True, slots=True)
class Budget:
    """An objective's error budget and what was spent of it."""

    objective: Objective
    allowed: float
    """Seconds of total outage in a 30-day month."""
    burnt: tuple[Burnt, ...]


def objective_of(experiment: Experiment) -> Objective | None:
    """The objective that the experiment states: its `slo` check's, else the availability of its steady state.

    One of 100 % leaves no budget and is none.
    """
    for check in (*experiment.during, *experiment.after, *experiment.steady_state):
        share = check.arguments.get("objective")
        if check.probe == "slo" and isinstance(share, int | float) and 0 < share < 1:
            return Objective(Share(share), _number(check.arguments.get("ttft")), _number(check.arguments.get("total")))
    for check in experiment.steady_state:
        share = check.arguments.get("at_least")
        if check.probe == "availability" and isinstance(share, int | float) and 0 < share < 1:
            return Objective(Share(share))
    return None


def budget_of(experiment: Experiment, parts: Sequence[Part]) -> Budget | None:
    """What the run burnt while something was broken, and in all; None without an objective or a request.

    Args:
        experiment: that ran.
        parts: of the run, from `brownout.report.figures.parts`.
    """
    objective = objective_of(experiment)
    stretches = [(part.name, part.seconds, part.requests) for part in parts if part.name == BROKEN]
    whole = tuple(request for part in parts for request in part.requests)
    stretches.append(("All of the run", sum(part.seconds for part in parts), whole))
    burnt = (
        tuple(_burnt(name, seconds, requests, objective) for name, seconds, requests in stretches) if objective else ()
    )
    if objective is None or not whole:
        return None
    return Budget(objective, budget(objective.share), burnt)


def _burnt(name: str, seconds: float, requests: Sequence[Request], objective: Objective) -> Burnt:
    bad = sum(not objective.met_by(request) for request in requests)
    rate = burn_rate(bad, len(requests), objective.share)
    spent = bad / len(requests) * seconds if requests else 0.0
    return Burnt(
        name,
        bad,
        len(requests),
        seconds,
        rate,
        spent,
        spent / budget(objective.share),
        MONTH / rate if rate else None,
    )


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None
