"""Backpressure: what inference workers say of their utilisation decides whom the gateway still lets in.

A worker that is nearly full answers 503 with `X-Backpressure-Level: HIGH`. From then on the free tier is shed. When
workers still say so after a while, the free tier was not enough, and pro is shed too. Enterprise is always forwarded. A
while after the last such answer everybody is let in again, and if that was too early the next answer says so.
"""

from typing import Self

from target_stack.clock import Clock
from target_stack.settings import Settings
from target_stack.tier import Tier

__all__ = ["HEADER", "HIGH", "Backpressure"]

HEADER = "x-backpressure-level"
HIGH = "HIGH"


class Backpressure:
    """Times in seconds: `hold` from a worker's word to its end, `patience` from the first one until pro is shed."""

    def __init__(self, clock: Clock, *, hold: float, patience: float, enabled: bool) -> None:
        self._clock = clock
        self._hold = hold
        self._patience = patience
        self._enabled = enabled
        self._since = 0.0
        self._until = 0.0

    @classmethod
    def from_settings(cls, settings: Settings, clock: Clock) -> Self:
        """As the operator has configured it."""
        return cls(
            clock,
            hold=settings.number("backpressure.hold"),
            patience=settings.number("backpressure.patience"),
            enabled=settings.switch("backpressure"),
        )

    def said_high(self, *, retry_after: float | None) -> None:
        """A worker refused a request because it is nearly full."""
        now = self._clock.monotonic()
        if now >= self._until:
            self._since = now
        self._until = max(self._until, now + max(self._hold, retry_after or 0.0))

    @property
    def level(self) -> int:
        """0: all are let in; 1: the free tier is shed; 2: pro is shed too."""
        now = self._clock.monotonic()
        if not self._enabled or now >= self._until:
            return 0
        return 1 if now < self._since + self._patience else 2

    def sheds(self, tier: Tier) -> float | None:
        """Return None when this tier is let in, else the seconds after which it may be worth asking again."""
        if self.level < {"free": 1, "pro": 2, "enterprise": 3}[tier]:
            return None
        return self._until - self._clock.monotonic()
