"""PromQL as an experiment writes it, and what of it can be answered without a Prometheus server.

A plain selector names series that were scraped, so it can be read off the evidence; all else takes Prometheus itself.
https://prometheus.io/docs/prometheus/latest/querying/basics/#instant-vector-selectors
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NewType

PromQL = NewType("PromQL", str)
"""A query in PromQL; it is asked of the run's Prometheus server, where there is one."""

SOURCE = "prometheus"
"""Source of the samples that are a Prometheus server's answers; their metric is the query."""
LOOKED = "promql_series"
"""Metric that tells how many series each answer to the query in its label `query` had: also 0."""
LEFT_OUT = ("python_", "process_")
"""Beginnings of the names of the interpreter's own series, which are not scraped into the evidence."""
NOT_SCRAPED = ("_bucket", "_created")
"""Ends of the names of series which are not scraped into the evidence either."""
_JOB = "job"
"""What Prometheus calls the service that was scraped, where its configuration names jobs for services."""

_SELECTOR = re.compile(r"(?P<name>[a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(?P<matchers>.*)\})?", re.DOTALL)
_MATCHER = re.compile(r'\s*(?P<label>[a-zA-Z_][a-zA-Z0-9_]*)\s*(?P<sign>!?=)\s*"(?P<value>[^"\\]*)"\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Selector:
    """`name{label="value", other!="value"}`: nothing but which series."""

    name: str
    equal: Mapping[str, str]
    unequal: Mapping[str, str]

    @property
    def source(self) -> str | None:
        """The service that says it, where the selector names it."""
        return self.equal.get(_JOB)

    def selects(self, labels: Mapping[str, str]) -> bool:
        """Whether a scraped series has these labels. One that it lacks is an empty one, as in Prometheus."""
        return all(labels.get(label, "") == value for label, value in self.equal.items() if label != _JOB) and all(
            labels.get(label, "") != value for label, value in self.unequal.items()
        )


def plain_selector(query: str) -> Selector | None:
    """The query as a selector that scraped samples can answer; None where it takes a Prometheus server."""
    found = _SELECTOR.fullmatch(query.strip())
    if found is None or found["name"].startswith(LEFT_OUT) or found["name"].endswith(NOT_SCRAPED):
        return None
    equal: dict[str, str] = {}
    unequal: dict[str, str] = {}
    rest = found["matchers"] or ""
    while rest.strip():
        matcher = _MATCHER.match(rest)
        if matcher is None:
            return None
        chosen = equal if matcher["sign"] == "=" else unequal
        if matcher["label"] in chosen or (matcher["label"] == _JOB and chosen is unequal):
            return None
        chosen[matcher["label"]] = matcher["value"]
        rest = rest[matcher.end() :]
    return Selector(found["name"], equal, unequal)
