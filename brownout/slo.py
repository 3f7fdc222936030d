"""Service level objectives: error budgets, burn rates, and the alerts that watch them. Pure.

After Google's Site Reliability Workbook, chapter 5, "Alerting on SLOs": an alert fires while the budget burns too fast
both over a long window, so that it matters, and over a short one, so that it is still going on.
"""

import math
from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from brownout.units import Share

HOUR = 3600.0
MONTH = 30 * 24 * HOUR
"""Seconds over which a budget is spent: the usual thirty days."""
HOUR_OF_A_RUN = 10.0
"""Seconds of a run that stand for an hour of the alerts' windows, unless somebody says otherwise; scaled as the run."""
LOOKS = 5
"""How often an alert is evaluated within its short window."""
FEWEST = 20
"""Requests in the long window below which an alert tells nothing."""


@dataclass(frozen=True, slots=True)
class Alert:
    """A multi-window, multi-burn-rate alert. Spans in hours."""

    name: str
    burn: float
    """How many times faster than the objective allows."""
    long: float
    short: float


ALERTS = (
    Alert("page", 14.4, 1.0, 5 / 60),
    Alert("page", 6.0, 6.0, 0.5),
    Alert("ticket", 1.0, 72.0, 6.0),
)
"""The workbook's, for 2 %, 5 % and 10 % of a month's budget: 14.4× over 1 h and 5 min, 6× over 6 h and 30 min, 1× over
3 days and 6 h."""


def burn_rate(bad: int, of: int, objective: Share) -> float:
    """How many times faster than the objective allows the budget is spent; 1 spends a month's in a month.

    Raises:
        ValueError: an objective of 100 % has no budget.
    """
    if objective >= 1:
        msg = "an objective of 100% leaves no error budget"
        raise ValueError(msg)
    return bad / of / (1 - objective) if of else 0.0


def budget(objective: Share) -> float:
    """Seconds of total outage that the objective allows in a month: 43 min 12 s for 99.9 %."""
    return MONTH * (1 - objective)


def spoilt_by(bad: Sequence[bool]) -> Sequence[int]:
    """How many of the requests before each broke the objective, and of all."""
    return array("I", accumulate(bad, initial=0))


def first_firing(
    alert: Alert,
    times: Sequence[float],
    spoilt: Sequence[int],
    *,
    objective: Share,
    start: float,
    end: float,
    hour: float,
    unseen: float,
) -> float | None:
    """When the alert first fires between `start` and `end`; None where it never does.

    The alert's windows reach back to before `start`, where nothing is known; see `unseen`.

    Args:
        alert: see `ALERTS`.
        times: of the requests, in order.
        spoilt: how many of them, up to each, broke the objective; see `spoilt_by`.
        objective: the share of requests that must not.
        start: of what is looked at, in seconds.
        end: of the same.
        hour: what an hour of the alert's windows is, in seconds.
        unseen: requests per second that are taken to have come before `start`, all of them good.
    """

    def burning(now: float, span: float) -> float:
        first, last = bisect_left(times, now - span), bisect_left(times, now)
        asked = last - first + unseen * max(start - (now - span), 0.0)
        return (spoilt[last] - spoilt[first]) / asked / (1 - objective) if asked else 0.0

    long, short = alert.long * hour, alert.short * hour
    for now in _looks(start, end, short / LOOKS):
        if burning(now, long) >= alert.burn and burning(now, short) >= alert.burn:
            return now
    return None


@dataclass(frozen=True, slots=True)
class Firing:
    """Whether and when an alert fires."""

    alert: Alert
    watched: bool
    """Whether enough requests come within its long window for it to tell anything."""
    at: float | None
    """In seconds of the run; None where it does not fire."""


def firings(
    times: Sequence[float],
    bad: Sequence[bool],
    *,
    objective: Share,
    start: float,
    end: float,
    hour: float,
    unseen: float,
) -> tuple[Firing, ...]:
    """Each of `ALERTS`; `bad` says of each request whether it broke the objective, the rest is as of `first_firing`."""
    rate = len(times) / (end - start) if end > start else 0.0
    spoilt = spoilt_by(bad)

    def firing(alert: Alert) -> Firing:
        if len(times) < FEWEST or rate * alert.long * hour < FEWEST:
            return Firing(alert, watched=False, at=None)
        at = first_firing(alert, times, spoilt, objective=objective, start=start, end=end, hour=hour, unseen=unseen)
        return Firing(alert, watched=True, at=at)

    return tuple(firing(alert) for alert in ALERTS)


def _looks(start: float, end: float, every: float) -> Iterator[float]:
    """At even distances, so that it makes no difference when requests came; the last one at the end."""
    for number in range(1, math.ceil((end - start) / every)):
        yield start + number * every
    yield end
