"""The error budget that a run would have burnt, had its users been everybody's."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.evidence.model import Request
from brownout.experiment import Experiment
from brownout.report.figures import BROKEN, Part
from brownout.slo import HOUR_OF_A_RUN, MONTH, budget, burn_rate, firings
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


@dataclass(frozen=True, slots=True)
class Watch:
    """One multi-window, multi-burn-rate alert, on windows scaled to the run."""

    name: str
    """`page` or `ticket`."""
    burn: float
    long: float
    """Seconds of the run."""
    short: float
    at: float | None
    """When it fired, in seconds of the run."""
    after: float | None
    """The same, in seconds after the first fault was on; below 0 where it fired before."""
    watched: bool
    """Whether the run asked enough for it to tell anything."""


@dataclass(frozen=True, slots=True)
class Alerts:
    """The alerts that the objective's owners would have got."""

    hour: float
    """Seconds of the run that stand for an hour."""
    watches: tuple[Watch, ...]

    @property
    def first(self) -> Watch | None:
        """The one that fired first."""
        return min((one for one in self.watches if one.at is not None), key=lambda one: one.at or 0.0, default=None)


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


def budget_of(experiment: Experiment, parts: Sequence[Part], requests: Sequence[Request]) -> Budget | None:
    """What the run burnt while something was broken, and in all; None without an objective or a request.

    Args:
        experiment: that ran.
        parts: of the run, from `brownout.report.figures.parts`.
        requests: all of the run, those that count in none of its parts as well: what a fault cut off in the middle.
    """
    objective = objective_of(experiment)
    stretches = [(part.name, part.seconds, part.requests) for part in parts if part.name == BROKEN]
    stretches.append(("All of the run", sum(part.seconds for part in parts), tuple(requests)))
    burnt = (
        tuple(_burnt(name, seconds, requests, objective) for name, seconds, requests in stretches) if objective else ()
    )
    if objective is None or not requests:
        return None
    return Budget(objective, budget(objective.share), burnt)


def alerts_of(
    experiment: Experiment, requests: Sequence[Request], *, fault_on: float | None, end: float, scale: float
) -> Alerts | None:
    """Which alerts would have fired, and when; None without an objective or a request.

    Args:
        experiment: that ran, scaled.
        requests: all of the run, by intended send time. Before the run all is taken to have been well.
        fault_on: when the first fault was on; None where there was none.
        end: of the run.
        scale: of the run. An hour is what the experiment's `slo` check says, else `HOUR_OF_A_RUN` scaled.
    """
    objective = objective_of(experiment)
    if objective is None or not requests:
        return None
    hour = _hour(experiment) or HOUR_OF_A_RUN * scale
    # An answer is counted when it ends: one that was under way when the fault came on is known to be bad only then.
    ended = sorted((_ended(request), not objective.met_by(request)) for request in requests)
    looks = firings(
        [at for at, _ in ended],
        [bad for _, bad in ended],
        objective=objective.share,
        start=0.0,
        end=end,
        hour=hour,
        unseen=len(requests) / end,
    )
    return Alerts(
        hour,
        tuple(
            Watch(
                name=one.alert.name,
                burn=one.alert.burn,
                long=one.alert.long * hour,
                short=one.alert.short * hour,
                at=one.at,
                after=None if one.at is None or fault_on is None else one.at - fault_on,
                watched=one.watched,
            )
            for one in looks
        ),
    )


def _ended(request: Request) -> float:
    return request.intended if request.done is None else request.done


def _hour(experiment: Experiment) -> float | None:
    checks = (*experiment.during, *experiment.after, *experiment.steady_state)
    return next((_number(one.arguments.get("hour")) for one in checks if one.probe == "slo"), None)


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
