"""What a query in PromQL gave: a Prometheus server's answers, or else what was scraped."""

from collections.abc import Mapping, Sequence

from brownout.evidence import Window
from brownout.promql import LOOKED, SOURCE, plain_selector

from ._series import Labels, Point, scrapes_of, series_of

Answers = tuple[Mapping[tuple[str, Labels], Sequence[Point]], Sequence[float], str]
"""Series, when they were looked at, and what to say where there is none."""


def answers_of(window: Window, query: str) -> Answers:
    """The series that the query gave.

    A Prometheus server that was asked is believed, also where it knew nothing: what was scraped beside it does not
    stand in for it.
    """
    looks = [
        sample.at
        for sample in window.samples
        if sample.source == SOURCE and sample.metric == LOOKED and dict(sample.labels).get("query") == query
    ]
    if looks:
        return series_of(window, query, source=SOURCE), looks, f"Prometheus had nothing to answer to {query}"
    selector = plain_selector(query)
    if selector is None:
        return {}, (), f"Prometheus was not asked: {query} needs --prometheus"
    series = series_of(window, selector.name, source=selector.source, wanted=selector.selects)
    return series, scrapes_of(window, {source for source, _ in series}), f"{query} was never seen"
