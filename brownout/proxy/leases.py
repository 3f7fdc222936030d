"""Leases: a fault lives only as long as somebody keeps saying so."""

from dataclasses import dataclass

MAX_TTL_MS = 3_600_000


@dataclass(frozen=True, slots=True)
class Lease:
    """A promise to be back before `expires_at`, in seconds on the clock that `Leases` is told."""

    ttl_ms: int
    expires_at: float


class Leases:
    """Which leases stand. Pure bookkeeping: it is told what time it is, and decides what has lapsed."""

    def __init__(self) -> None:
        self._leases: dict[str, Lease] = {}

    def __contains__(self, lease: str) -> bool:
        return lease in self._leases

    def renew(self, lease: str, *, ttl_ms: int, now: float) -> bool:
        """Create the lease or push its end back, to `ttl_ms` from now. True if it is new."""
        new = lease not in self._leases
        self._leases[lease] = Lease(ttl_ms, now + ttl_ms / 1000)
        return new

    def drop(self, lease: str) -> None:
        """Forget it; harmless if it is not there."""
        self._leases.pop(lease, None)

    def standing(self) -> dict[str, Lease]:
        """Every lease that has not been dropped, in order of creation."""
        return dict(self._leases)

    def lapsed(self, *, now: float) -> list[str]:
        """The leases whose time is over, the longest lapsed first. They stand until they are dropped."""
        over = [(lease.expires_at, name) for name, lease in self._leases.items() if lease.expires_at <= now]
        return [name for _, name in sorted(over)]

    def next_lapse(self) -> float | None:
        """When the next lease lapses if nothing is renewed; None without leases."""
        return min((lease.expires_at for lease in self._leases.values()), default=None)
