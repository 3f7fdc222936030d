"""Every recorder that a run needs."""

from collections.abc import Coroutine, Iterator
from functools import partial
from typing import Any

import httpx

from brownout.clock import RunClock
from brownout.evidence.recording import Recording
from brownout.recorders.breaker_gauges import follow_breaker_gauge
from brownout.recorders.breakers import follow_breakers
from brownout.recorders.gpus import follow_gpus
from brownout.recorders.links import follow_links, follow_usage
from brownout.recorders.platform import follow_happenings, follow_readings
from brownout.recorders.prometheus import follow_metrics
from brownout.recorders.services import Presence, follow_services
from brownout.target import HasPlatform, Target


def recorders_of(
    target: Target, recording: Recording, *, client: httpx.AsyncClient, clock: RunClock
) -> Iterator[Coroutine[Any, Any, None]]:
    """The recorders of a target that is up, each until it is cancelled. The caller must run every one it is given."""
    presence, samples = Presence(), recording.add_sample
    for source in target.sources():
        away = partial(presence.away, source.name)
        if source.kind == "breaker-events":
            yield follow_breakers(source, client=client, clock=clock, add=recording.add_transition, away=away)
            continue
        yield follow_metrics(source, client=client, clock=clock, add=samples, away=away)
        if source.breakers is not None:
            transitions = recording.add_transition
            yield follow_breaker_gauge(source, source.breakers, client=client, clock=clock, add=transitions, away=away)
    yield follow_links(target, clock=clock, add=samples)
    yield follow_services(target, clock=clock, add=samples, tell=recording.add_event, presence=presence)
    if isinstance(target, HasPlatform):
        yield follow_readings(target, clock=clock, add=samples)
        yield follow_happenings(target, clock=clock, tell=recording.add_event)
    yield follow_usage(target, clock=clock, add=samples)
    yield follow_gpus(clock=clock, add=samples)
