"""Any metric: a series that was scraped, or what a Prometheus server answers."""

import math
from typing import Literal

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.promql import PromQL

from ._answers import answers_of
from ._series import MIN_SCRAPES, growth, labels_of, scrapes_of, series_of, total


@probe
def metric(
    window: Window,
    *,
    name: str | None = None,
    promql: PromQL | None = None,
    labels: str | None = None,
    source: str | None = None,
    value: Literal["last", "min", "max", "mean", "rate", "increase"] = "last",
    at_least: float | None = None,
    at_most: float | None = None,
) -> Verdict:
    """A figure of one metric, as the system itself tells it; several series are added up.

    Where the target is scraped, every series but histogram buckets is recorded. Counters are read by `rate` (per
    second) and `increase`, which see a restart; gauges by the others. A query is asked of Prometheus every second
    (`chaos run --prometheus`); without a server, one that only selects series is read off those that were scraped.

    Args:
        name: of the series, as scraped: `dependency_calls_total`. State this or promql.
        promql: a query that gives numbers: `sum(rate(errors_total[10s]))`; or a selector, `answers_total{level="0"}`.
        labels: only series of that name with these labels: `dependency=vector-db, outcome=ok`.
        source: only what this service says, where several say it.
        value: what is read off the series in the window.
        at_least: passed when it is this or more.
        at_most: passed when it is this or less. State at least one of the two.

    Raises:
        ValueError: the arguments make no sense.
    """
    if (name is None) == (promql is None):
        msg = "state name or promql, one of the two"
        raise ValueError(msg)
    if promql is not None and (labels is not None or source is not None):
        msg = "labels and source go with name; a query says in itself which series it is about"
        raise ValueError(msg)
    if at_least is None and at_most is None:
        msg = "metric needs at-least or at-most, or both"
        raise ValueError(msg)
    if at_least is not None and at_most is not None and at_least > at_most:
        msg = "at-least must not be more than at-most"
        raise ValueError(msg)
    pairs = labels_of(labels).items()
    bounds = [f"at least {at_least:g}"] if at_least is not None else []
    bounds += [f"at most {at_most:g}"] if at_most is not None else []
    threshold = f"{value} {' and '.join(bounds)}"
    if promql is not None:
        series, looks, doubt = answers_of(window, promql)
    else:
        series = series_of(window, name or "", source=source, wanted=lambda has: pairs <= has.items())
        looks, doubt = scrapes_of(window, {source for source, _ in series}), f"{name} was never seen"
    points = total(series)
    if len(points) < MIN_SCRAPES:
        few = f"{promql or name} was read {len(points)} times; at least {MIN_SCRAPES} are needed to tell"
        return inconclusive(threshold, samples=len(points), why=few if points else doubt)
    grown = growth(window, series)
    values = [one for _, one in points]
    figure = {
        "last": values[-1],
        "min": min(values),
        "max": max(values),
        "mean": sum(values) / len(values),
        "rate": grown / (looks[-1] - looks[0]),
        "increase": grown,
    }[value]
    if math.isnan(figure):
        return inconclusive(threshold, samples=len(points), why=f"{promql or name} was infinite both ways")
    too_low, too_high = at_least is not None and figure < at_least, at_most is not None and figure > at_most
    return Verdict(
        "failed" if too_low or too_high else "passed",
        f"{value} {figure:.6g}",
        threshold,
        len(points),
        "" if len(series) == 1 else f"{len(series)} series, added up",
        value=figure,
        limit=at_most if too_high or at_least is None else at_least,
    )
