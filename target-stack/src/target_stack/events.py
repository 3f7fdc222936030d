"""A bounded, numbered log of what the stack noticed about itself, for whoever polls `GET /events`."""

from collections import deque
from itertools import islice

import msgspec

from target_stack.clock import Clock

__all__ = ["Event", "EventRing"]

CAPACITY = 10_000


class Event(msgspec.Struct, frozen=True, kw_only=True, rename={"from_state": "from", "to_state": "to"}):
    """A breaker that changed its state; `at` is in seconds since 1970. The first of each dependency has no `from`."""

    seq: int
    at: float
    kind: str
    dependency: str
    from_state: str | None
    to_state: str
    reason: str


class EventRing:
    """The last `capacity` events. Sequence numbers start at 1 and have no gaps."""

    def __init__(self, clock: Clock, *, capacity: int = CAPACITY) -> None:
        self._clock = clock
        self._events: deque[Event] = deque(maxlen=capacity)
        self._last = 0

    @property
    def last(self) -> int:
        """Number of the newest event, 0 when there is none."""
        return self._last

    def breaker(self, dependency: str, *, from_state: str | None, to_state: str, reason: str) -> None:
        """Note a breaker's transition."""
        self._last += 1
        event = Event(
            seq=self._last,
            at=self._clock.unix(),
            kind="breaker",
            dependency=dependency,
            from_state=from_state,
            to_state=to_state,
            reason=reason,
        )
        self._events.append(event)

    def after(self, seq: int) -> list[Event]:
        """Return the events that are newer than `seq`, oldest first; those that fell off the ring are gone."""
        newer = min(max(self._last - seq, 0), len(self._events))
        return list(islice(self._events, len(self._events) - newer, None))
