"""Deadline propagation: until when the work for one request is worth doing.

The caller says in `X-Request-Timeout-Ms` how long it will wait. Every downstream call gets what is left of that, less a
margin in which its answer, or an honest error, still reaches the caller; a call that speaks HTTP is told so by the same
header. gRPC's `grpc-timeout` is the model; its units and its binary metadata are of no use here.
"""

import math
from dataclasses import dataclass
from typing import Self

from target_stack.clock import Clock
from target_stack.failures import StackError
from target_stack.settings import Settings

__all__ = ["HEADER", "Deadline", "DeadlinePolicy"]

HEADER = "x-request-timeout-ms"


@dataclass(frozen=True, slots=True)
class Deadline:
    """`at` is on the monotonic clock, in seconds; `margin` is in seconds. Without a clock there is none."""

    clock: Clock | None = None
    at: float = math.inf
    margin: float = 0.0

    def left(self) -> float:
        """Return for how many seconds the caller will still wait."""
        return max(self.at - self.clock.monotonic(), 0.0) if self.clock is not None else math.inf

    def left_downstream(self) -> float:
        """Return how many seconds a downstream call may take."""
        return max(self.at_downstream - self.clock.monotonic(), 0.0) if self.clock is not None else math.inf

    @property
    def at_downstream(self) -> float:
        """When downstream calls must be over, on the clock."""
        return self.at - self.margin

    def headers(self) -> dict[str, str]:
        """Return what tells a service that is called now how long it has."""
        return {HEADER: str(math.floor(self.left_downstream() * 1000))} if self.clock is not None else {}

    def later(self, other: "Deadline") -> "Deadline":
        """Return the one that leaves more time."""
        return other if other.at > self.at else self


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadlinePolicy:
    """What deadline a request gets. `limit` is for one that states none, and the longest that one may state."""

    enabled: bool
    limit: float
    margin: float

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator has configured it."""
        return cls(
            enabled=settings.switch("deadline"),
            limit=settings.number("deadline.limit"),
            margin=settings.number("deadline.margin"),
        )

    def of(self, header: str | None, clock: Clock, *, arrived_at: float) -> Deadline:
        """Return the deadline of a request that arrived then; raise StackError (400) when its header is no number."""
        if not self.enabled:
            return Deadline()
        wanted = self.limit
        if header is not None:
            text = header.strip()
            if not (text.isascii() and text.isdigit()):
                message = f"{HEADER} must be a whole number of milliseconds"
                raise StackError(400, message, code="invalid_request", kind="invalid_request_error")
            wanted = min(int(text[:12]) / 1000, self.limit)
        return Deadline(clock, arrived_at + wanted, self.margin)
