"""Breaker states, from a gauge that a service exports to Prometheus.

A breaker that opens and closes between two looks is missed: who can tell events should (`brownout.recorders.breakers`).
"""

from collections.abc import Callable

import httpx
from prometheus_client.parser import text_string_to_metric_families

from brownout.clock import Clock
from brownout.evidence.model import Transition
from brownout.recorders._http import Unreadable, get
from brownout.recorders._polling import poll
from brownout.target import BreakerGauge, Source


async def follow_breaker_gauge(
    source: Source,
    gauge: BreakerGauge,
    *,
    client: httpx.AsyncClient,
    clock: Clock,
    add: Callable[[Transition], None],
    away: Callable[[], bool] = lambda: False,
    every: float = 0.25,
) -> None:
    """Record in which state each breaker is at the first look, and each change, when it was seen; until cancelled.

    Raises:
        RecorderFailed: the source could not be read for too long, or the gauge has a value that is no state.
    """
    known: dict[str, str] = {}

    async def look() -> None:
        text = (await get(client, source)).text
        now = clock.now()
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                dependency = sample.labels.get(gauge.label)
                if sample.name != gauge.metric or dependency is None:
                    continue
                state = gauge.states.get(sample.value)
                if state is None:
                    msg = f"{gauge.metric} of {dependency} is {sample.value:g}, which is no state of a breaker"
                    raise Unreadable(msg)
                if known.get(dependency) != state:
                    told = f"{gauge.metric} is {sample.value:g}"
                    add(Transition(now, dependency, known.get(dependency), state, told))
                    known[dependency] = state

    await poll(look, every=every, clock=clock, name=f"{source.name}'s breakers", away=away)
