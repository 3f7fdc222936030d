"""What a Prometheus server answers, asked again and again; so probes judge its answers without it."""

import asyncio
from collections.abc import Callable, Sequence

from brownout.clock import Clock
from brownout.evidence.model import Sample
from brownout.prometheus.client import Prometheus
from brownout.promql import LOOKED, SOURCE
from brownout.recorders._polling import poll


async def follow_promql(
    client: Prometheus, queries: Sequence[str], *, clock: Clock, add: Callable[[Sample], None], every: float = 1.0
) -> None:
    """Record the answer to each query every so many seconds, until cancelled: series by series, and how many it had.

    The server evaluates at its own now, so that its clock may differ from ours.

    Raises:
        RecorderFailed: it did not answer for too long.
    """

    async def look() -> None:
        now = clock.now()
        for query in queries:
            points = await asyncio.to_thread(client.ask, query)
            add(Sample(now, SOURCE, LOOKED, (("query", query),), float(len(points))))
            for point in points:
                add(Sample(now, SOURCE, query, point.labels, point.value))

    if queries:
        await poll(look, every=every, clock=clock, name=f"Prometheus at {client.url}")
