"""What went over each link, and what the target takes of the machine."""

import os
from collections.abc import Callable

from brownout.clock import Clock
from brownout.evidence.model import Sample
from brownout.recorders._polling import poll
from brownout.target import Target


async def follow_links(target: Target, *, clock: Clock, add: Callable[[Sample], None], every: float = 0.5) -> None:
    """Record every link's counters, until cancelled.

    Raises:
        RecorderFailed: they could not be read for too long.
    """

    async def look() -> None:
        counters = await target.counters()
        now = clock.now()
        for one in counters:
            labels = (("link", " → ".join(one.link)),)
            for metric, value in (
                ("link_connections_total", one.connections),
                ("link_requests_total", one.requests),
                ("link_upstream_bytes_total", one.upstream_bytes),
                ("link_downstream_bytes_total", one.downstream_bytes),
                ("link_swallowed_bytes_total", one.swallowed_bytes),
                ("link_resets_total", one.resets),
                ("link_delayed_chunks_total", one.delayed_chunks),
            ):
                add(Sample(now, "proxy", metric, labels, float(value)))

    await poll(look, every=every, clock=clock, name="the links' counters")


async def follow_usage(target: Target, *, clock: Clock, add: Callable[[Sample], None], every: float = 5.0) -> None:
    """Record how much memory all processes of the run take together, until cancelled.

    Raises:
        RecorderFailed: it could not be read for too long.
    """

    async def look() -> None:
        usage = await target.usage()
        now = clock.now()
        add(Sample(now, "host", "processes", (), float(usage.processes)))
        add(Sample(now, "host", "memory_bytes", (), float(usage.memory)))
        # Above one, somebody waits for a processor, and every latency of the run has that in it.
        add(Sample(now, "host", "load_per_processor", (), os.getloadavg()[0] / (os.cpu_count() or 1)))

    await poll(look, every=every, clock=clock, name="the processes' memory")
