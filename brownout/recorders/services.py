"""How each service was doing: up, ready, and how often it was started again."""

from collections.abc import Callable

from brownout.clock import RunClock
from brownout.evidence.model import Event, Sample
from brownout.recorders._polling import poll
from brownout.target import ServiceState, Target


class Presence:
    """Which services are there, as was last seen: a recorder of one that is away misses nothing."""

    def __init__(self) -> None:
        self._ready: dict[str, bool] = {}

    def seen(self, state: ServiceState) -> None:
        """How one of them is doing now."""
        self._ready[state.name] = state.ready

    def away(self, name: str) -> bool:
        """Whether it was not ready when it was last seen; not so for one of which nothing is known."""
        return not self._ready.get(name, True)


async def follow_services(
    target: Target,
    *,
    clock: RunClock,
    add: Callable[[Sample], None],
    tell: Callable[[Event], None],
    presence: Presence,
    every: float = 0.5,
) -> None:
    """Record `service_up`, `service_ready` and `service_restarts_total` of every service, until cancelled.

    That one was started again or has ended is told as an event as well, at the moment at which it was.

    Raises:
        RecorderFailed: they could not be read for too long.
    """
    before: dict[str, ServiceState] = {}

    async def look() -> None:
        asked = clock.now()
        for one in await target.services():
            presence.seen(one)
            labels = (("service", one.name),)
            for metric, value in (
                ("service_up", one.up),
                ("service_ready", one.ready),
                ("service_restarts_total", one.restarts),
            ):
                # What is told was so when it was asked, not when the slowest of them had answered.
                add(Sample(asked, "target", metric, labels, float(value)))
            if one.name in before:
                for text in _changes(before[one.name], one):
                    tell(Event(max(clock.from_unix(one.since), 0.0), "note", text))
            before[one.name] = one

    await poll(look, every=every, clock=clock, name="the services' states")


def _changes(old: ServiceState, new: ServiceState) -> list[str]:
    """What became of its process between two looks; of several ends and starts, the last."""
    if new.restarts > old.restarts and new.pid is not None:
        return [f"{new.name} was started again (restart {new.restarts})"]
    return [f"{new.name} has ended"] if old.pid is not None and new.pid is None else []
