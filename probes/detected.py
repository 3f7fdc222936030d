"""How soon the system noticed: the time to detect (TTD)."""

from collections.abc import Sequence

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.units import Duration, format_seconds

from ._series import Point, labels_of, series_of, total


@probe
def detected(
    window: Window,
    *,
    within: Duration,
    dependency: str | None = None,
    metric: str | None = None,
    labels: str | None = None,
    at_least: float = 1.0,
) -> Verdict:
    """The time from the fault until a circuit breaker opened, or until a metric said so.

    Args:
        within: it takes at most so long, from the window's start: the moment the first fault was really on.
        dependency: it is this one's breaker that opens; any where it is not stated.
        metric: instead of a breaker, this scraped series tells: an alert, a health gauge.
        labels: only series of the metric with these labels: `alertname=GatewayErrors`.
        at_least: the value of the metric that tells; several series are added up.

    Raises:
        ValueError: the arguments make no sense.
    """
    if within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    if metric is not None and dependency is not None:
        msg = "state dependency or metric, not both"
        raise ValueError(msg)
    if metric is None and labels is not None:
        msg = "labels belong to a metric"
        raise ValueError(msg)
    labels_of(labels)
    threshold = f"within {format_seconds(within)}"
    if metric is None:
        looks, moments, doubt = _breakers(window, dependency)
    else:
        looks, moments, doubt = _metric(window, metric, labels, at_least)
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


def _metric(window: Window, metric: str, labels: str | None, at_least: float) -> Found:
    pairs = labels_of(labels).items()

    def points_of(window: Window) -> Sequence[Point]:
        return total(series_of(window, metric, wanted=lambda has: pairs <= has.items()))

    points = points_of(window)
    before = points_of(window.baseline) if window.baseline is not None else ()
    if before and before[-1][1] >= at_least:
        return len(points), (), f"{metric} was {before[-1][1]:g} before the fault was on"
    moments = [(at, f"{metric} {value:g}") for at, value in points if value >= at_least]
    return len(points), moments, "" if points else f"{metric} was never seen"
