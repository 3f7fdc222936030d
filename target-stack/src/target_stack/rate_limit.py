"""Rate limit: so many requests a minute for each user and for each address, by tier.

The generic cell rate algorithm: a token bucket that needs one number for each key, the time at which its bucket will be
full again. Source: ITU-T I.371. Libraries (limits, pyrate-limiter) keep their counters behind stores and locks of their
own and read the clock themselves.
"""

from collections.abc import Hashable, Mapping
from dataclasses import dataclass

from target_stack.clock import Clock
from target_stack.settings import Settings
from target_stack.tier import TIERS, Tier

__all__ = ["Limit", "RateLimiter", "limits_from"]

MAX_KEYS = 10_000
"""Above this many, full buckets are forgotten: they are what a new key would have."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`burst` is how many minutes' worth may come at once."""

    per_minute: float
    burst: float = 2.0

    @property
    def interval(self) -> float:
        """Seconds between two requests at the limit."""
        return 60 / self.per_minute


def limits_from(settings: Settings) -> dict[Tier, Limit]:
    """Return each tier's limit, as the operator has configured it."""
    burst = settings.number("rate-limit.burst")
    return {tier: Limit(per_minute=settings.number(f"rate-limit.{tier}.per-minute"), burst=burst) for tier in TIERS}


class RateLimiter:
    """One bucket for each key; a key's limit is given with each request."""

    def __init__(self, clock: Clock, *, max_keys: int = MAX_KEYS) -> None:
        self._clock = clock
        self._max_keys = max_keys
        self._full_at: dict[Hashable, float] = {}

    def __len__(self) -> int:
        return len(self._full_at)

    def take(self, wanted: Mapping[Hashable, Limit]) -> float:
        """Take one request out of all of these buckets, or out of none.

        Returns 0 when it may pass, else the seconds after which it may be worth trying again.
        """
        now = self._clock.monotonic()
        wait = max((self._wait(key, limit, now) for key, limit in wanted.items()), default=0.0)
        if wait > 0:
            return wait
        for key, limit in wanted.items():
            self._full_at[key] = max(self._full_at.get(key, now), now) + limit.interval
        if len(self._full_at) > self._max_keys:
            self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        return 0.0

    def _wait(self, key: Hashable, limit: Limit, now: float) -> float:
        capacity = limit.per_minute * limit.burst
        ahead = max(self._full_at.get(key, now), now) - now
        wait = ahead - (capacity - 1) * limit.interval
        # The sum of many intervals is off by a rounding error.
        return wait if wait > 1e-6 else 0.0
