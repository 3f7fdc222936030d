"""The replicas of a self-hosted model: which of them gets the next request, and which of them get none.

The one with the fewest requests under way comes first, which also sends less to one that has become slow; between
equals the one whose turn is longest ago. A replica takes part while its health check succeeds. The breaker of each is
for what a health check does not see, and for the time until it does.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, Protocol, TypeVar

from target_stack.clock import Clock
from target_stack.log import log

__all__ = ["HealthChecks", "ReplicaPool"]


class _Replica(Protocol):
    name: str
    outstanding: int


R = TypeVar("R", bound=_Replica)


class ReplicaPool(Generic[R]):
    """Pure choice. `failures` failed checks in a row take a replica out; one that succeeds brings it back."""

    def __init__(self, replicas: Sequence[R], *, failures: int, enabled: bool) -> None:
        """`enabled` is false when the checks are not to be heeded."""
        self._replicas = tuple(replicas)
        self._failures = failures
        self._enabled = enabled
        # Nobody is ready before a check has said so.
        self._failed = dict.fromkeys(self.names, failures)
        self._turns = dict.fromkeys(self.names, 0)
        self._turn = 0

    @property
    def names(self) -> tuple[str, ...]:
        """Names of all replicas."""
        return tuple(replica.name for replica in self._replicas)

    def ready(self, name: str) -> bool:
        """Whether this replica's health check succeeds."""
        return self._failed[name] < self._failures

    def checked(self, name: str, *, healthy: bool) -> None:
        """Note the outcome of a health check."""
        self._failed[name] = 0 if healthy else self._failed[name] + 1

    def order(self) -> list[R]:
        """Return the replicas that may be called for one request, in this order; the first has had its turn."""
        able = [replica for replica in self._replicas if not self._enabled or self.ready(replica.name)]
        return self._by_load(able)

    def first(self) -> R:
        """Return the one to call where no other may be called after it: an unready one rather than none."""
        able = self.order()
        return able[0] if able else self._by_load(list(self._replicas))[0]

    def _by_load(self, replicas: list[R]) -> list[R]:
        replicas.sort(key=lambda replica: (replica.outstanding, self._turns[replica.name]))
        if replicas:
            self._turn += 1
            self._turns[replicas[0].name] = self._turn
        return replicas


class HealthChecks:
    """Checks every replica again and again. `run` is one task of the gateway's."""

    def __init__(
        self,
        pool: ReplicaPool[R],
        checks: Mapping[str, Callable[[], Awaitable[bool]]],
        clock: Clock,
        *,
        interval: float,
        on_lost: Callable[[str], None],
    ) -> None:
        """`interval` is in seconds, from one check's start to the next; `on_lost` is told who is no longer ready."""
        self._ready = pool.ready
        self._checked = pool.checked
        self._checks = checks
        self._clock = clock
        self._interval = interval
        self._on_lost = on_lost

    async def run(self) -> None:
        """Check until cancelled."""
        async with asyncio.TaskGroup() as group:
            for name, check in self._checks.items():
                group.create_task(self._watch(name, check))

    async def _watch(self, name: str, check: Callable[[], Awaitable[bool]]) -> None:
        while True:
            began, before = self._clock.monotonic(), self._ready(name)
            self._checked(name, healthy=await check())
            if self._ready(name) is not before:
                log.info("replica ready" if not before else "replica lost", extra={"replica": name})
                if before:
                    self._on_lost(name)
            await asyncio.sleep(max(began + self._interval - self._clock.monotonic(), 0))
