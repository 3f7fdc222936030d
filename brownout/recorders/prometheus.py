"""Metrics, scraped from a service's Prometheus endpoint.

Histogram buckets and the interpreter's own series are left out: they are most of a scrape, and nothing here reads them.
"""

from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from brownout.clock import Clock
from brownout.evidence.model import Sample
from brownout.promql import LEFT_OUT, NOT_SCRAPED
from brownout.recorders._http import get
from brownout.recorders._polling import poll
from brownout.target import Source


async def follow_metrics(
    source: Source,
    *,
    client: httpx.AsyncClient,
    clock: Clock,
    add: Callable[[Sample], None],
    away: Callable[[], bool] = lambda: False,
    every: float = 1.0,
) -> None:
    """Record the source's series every so many seconds, until cancelled; `away` says whether it is known to be down.

    Raises:
        RecorderFailed: the source could not be read for too long.
    """

    async def look() -> None:
        text = (await get(client, source)).text
        now = clock.now()
        for family in text_string_to_metric_families(text):
            if family.name.startswith(LEFT_OUT):
                continue
            for sample in family.samples:
                if not sample.name.endswith(NOT_SCRAPED):
                    labels = tuple(sorted(sample.labels.items()))
                    add(Sample(now, source.name, sample.name, labels, float(sample.value)))

    await poll(look, every=every, clock=clock, name=f"{source.name}'s metrics", away=away)
