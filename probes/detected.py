"""How soon the system noticed: the time to detect (TTD)."""

from collections.abc import Callable, Sequence

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.promql import PromQL
from brownout.system import DependencyName
from brownout.units import Duration, format_seconds

from ._answers import Answers, answers_of
from ._series import labels_of, series_of, total


@probe
def detected(
    window: Window,
    *,
    within: Duration,
    dependency: DependencyName | None = None,
    metric: str | None = None,
    promql: PromQL | None = None,
    labels: str | None = None,
    at_least: float = 1.0,
) -> Verdict:
    """The time from the fault until a circuit breaker opened, or until a metric said so.

    Args:
        within: it takes at most so long, from the window's start: the moment the first fault was really on.
        dependency: it is this one's breaker that opens; any where it is not stated.
        metric: instead of a breaker, this scraped series tells: an alert, a health gauge.
        promql: or the answer to this query does, as of `metric`: `ALERTS{alertname="GatewayErrors"}`.
        labels: only series of the metric with these labels: `alertname=GatewayErrors`.
        at_least: the value of the metric, or of the answer, that tells; several series are added up.

    Raises:
        ValueError: the arguments make no sense.
    """
    if within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    if sum(one is not None for one in (dependency, metric, promql)) > 1:
        msg = "state one of dependency, metric and promql"
        raise ValueError(msg)
    if metric is None and labels is not None:
        msg = "labels belong to a metric"
        raise ValueError(msg)
    labels_of(labels)
    threshold = f"within {format_seconds(within)}"
    if promql is not None:
        found = _series(window, promql, lambda window: answers_of(window, promql), at_least)
    elif metric is not None:
        wanted = labels_of(labels).items()
        found = _series(
            window,
            metric,
            lambda window: (
                series_of(window, metric, wanted=lambda has: wanted <= has.items()),
                (),
                f"{metric} was never seen",
            ),
            at_least,
        )
    else:
        found = _breakers(window, dependency)
    looks, moments, doubt = found
    if doubt:
        return inconclusive(threshold, samples=looks, why=doubt)
    if not moments:
        if window.length < within:
            why = f"the window is only {format_seconds(window.length)} long, and nothing had noticed by its end"
            return inconclusive(threshold, samples=looks, why=why)
        figure = f"not detected in {format_seconds(window.length)}"
        return Verdict("failed", figure, threshold, looks, limit=within, unit="s")
    at, what = moments[0]
    after = at - window.start
    return Verdict(
        "passed" if after <= within else "failed",
        f"detected after {format_seconds(after)}",
        threshold,
        looks,
        what,
        value=after,
        limit=within,
        unit="s",
    )


Found = tuple[int, Sequence[tuple[float, str]], str]
"""How often it was looked, when something had noticed and what, and why that cannot be told."""


def _breakers(window: Window, dependency: str | None) -> Found:
    seen = [change for change in window.history if dependency in (None, change.dependency)]
    opened = [change for change in seen if change.new == "open" and change.old is not None]
    moments = [(change.at, f"{change.dependency} opened") for change in opened if change.at >= window.start]
    return len(seen), moments, "" if seen else f"no breaker{f' of {dependency}' if dependency else ''} was seen"


def _series(window: Window, name: str, read: Callable[[Window], Answers], at_least: float) -> Found:
    series, looks, doubt = read(window)
    points = total(series)
    before = total(read(window.baseline)[0]) if window.baseline is not None else ()
    if before and before[-1][1] >= at_least:
        return len(points), (), f"{name} was {before[-1][1]:g} before the fault was on"
    moments = [(at, f"{name} {value:g}") for at, value in points if value >= at_least]
    # An alert that does not fire is no series: an answer without any says that nothing has noticed.
    return len(points) or len(looks), moments, "" if points or looks else doubt
