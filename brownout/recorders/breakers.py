"""Breaker transitions, from a service that tells them as events: `GET URL?after=SEQ`.

Answer: `{"next": SEQ, "events": [{"seq", "at": Unix seconds, "kind": "breaker", "dependency", "from", "to",
"reason"}]}`, as the reference stack gives it (target-stack/README.md). Polling metrics would miss a breaker that opens
and closes between two looks; events carry their own time.
"""

from collections.abc import Callable, Mapping
from typing import Any

import httpx

from brownout.clock import RunClock
from brownout.evidence.model import Transition
from brownout.recorders._http import Unreadable, get
from brownout.recorders._polling import poll
from brownout.target import Source

STATES = frozenset({"closed", "open", "half-open"})


async def follow_breakers(
    source: Source,
    *,
    client: httpx.AsyncClient,
    clock: RunClock,
    add: Callable[[Transition], None],
    away: Callable[[], bool] = lambda: False,
    every: float = 0.2,
) -> None:
    """Record every transition from now on, and the state in which each breaker is at the start; until cancelled.

    Args:
        source: who tells them.
        client: to ask with.
        clock: the run's.
        add: takes each transition.
        away: whether the source is known to be down just now.
        every: seconds between two looks.

    Raises:
        RecorderFailed: the source could not be read for too long.
    """
    seen = 0

    async def look() -> None:
        nonlocal seen
        answer = (await get(client, source, after=seen)).json()
        try:
            if int(answer["next"]) < seen:
                # The service began anew, and so did its numbers.
                seen = 0
                return
            for event in answer["events"]:
                seen = max(seen, int(event["seq"]))
                if event["kind"] == "breaker":
                    add(_transition(event, clock))
        except (KeyError, TypeError) as error:
            msg = f"{source.name} tells no events as it should: {error!r}"
            raise Unreadable(msg) from error

    await poll(look, every=every, clock=clock, name=f"{source.name}'s breakers", away=away)


def _transition(event: Mapping[str, Any], clock: RunClock) -> Transition:
    if event["to"] not in STATES:
        msg = f"unknown breaker state {event['to']!r}; known: {', '.join(sorted(STATES))}"
        raise Unreadable(msg)
    return Transition(
        # What happened before the run, at its very start: only the state that it led to matters.
        at=max(clock.from_unix(float(event["at"])), 0.0),
        dependency=str(event["dependency"]),
        old=event.get("from"),
        new=event["to"],
        reason=str(event.get("reason") or "")[:200],
    )
