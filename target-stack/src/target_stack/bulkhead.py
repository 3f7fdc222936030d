"""Bulkheads: a queue for each tier in front of a limit on concurrent work, so that no caller's flood drowns another's.

- At most `concurrency` requests are worked on, and of each tier at most its own share of that: what the lower tiers may
  not take is always there for the higher ones.
- A place that falls free goes to the highest tier that waits and may have it; within a tier the tenants take turns,
  and within a tenant the oldest comes first.
- A full queue sheds. The newcomer is shed, unless another tenant has more waiting: then the newest of the tenant that
  has most. So a tenant that floods its tier sheds its own requests, not its neighbours'.

Pure and synchronous: on one event loop each method is atomic. anyio's CapacityLimiter and asyncio's Semaphore are
one queue for all, first come, first served.
"""

from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from target_stack.settings import Settings
from target_stack.tier import TIERS, Tier

__all__ = ["Bulkhead", "Place", "Standing", "TierLimits"]


class Standing(StrEnum):
    """Where a request stands."""

    WAITING = "waiting"
    ADMITTED = "admitted"
    SHED = "shed"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class TierLimits:
    """How many of a tier may be worked on at a time, and how many may wait."""

    concurrency: int
    queue: int


class Place:
    """One request's. `on_change` is called when one that waited is admitted or shed."""

    __slots__ = ("on_change", "standing", "tenant", "tier")

    def __init__(self, tier: Tier, tenant: str, on_change: Callable[[], None]) -> None:
        self.tier = tier
        self.tenant = tenant
        self.standing = Standing.WAITING
        self.on_change = on_change


class _Queue:
    """One tier's: tenants in the order of their turns, each with its requests in the order of arrival."""

    def __init__(self) -> None:
        self._tenants: OrderedDict[str, deque[Place]] = OrderedDict()
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def waiting(self, tenant: str) -> int:
        return len(self._tenants.get(tenant, ()))

    def longest(self) -> str:
        return max(self._tenants, key=self.waiting)

    def append(self, place: Place) -> None:
        self._tenants.setdefault(place.tenant, deque()).append(place)
        self._length += 1

    def take_turn(self) -> Place:
        tenant, places = next(iter(self._tenants.items()))
        place = places.popleft()
        self._tenants.move_to_end(tenant)
        self._shrink(tenant)
        return place

    def newest(self, tenant: str) -> Place:
        place = self._tenants[tenant].pop()
        self._shrink(tenant)
        return place

    def remove(self, place: Place) -> None:
        self._tenants[place.tenant].remove(place)
        self._shrink(place.tenant)

    def _shrink(self, tenant: str) -> None:
        self._length -= 1
        if not self._tenants[tenant]:
            del self._tenants[tenant]


class Bulkhead:
    """All tiers' queues and the places behind them."""

    def __init__(self, tiers: Mapping[Tier, TierLimits], *, concurrency: int) -> None:
        self._tiers = tiers
        self._concurrency = concurrency
        self._queues = {tier: _Queue() for tier in TIERS}
        self._admitted = dict.fromkeys(TIERS, 0)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator has configured it. A tier has one place at least."""
        concurrency = settings.integer("bulkhead.concurrency")
        tiers = {
            tier: TierLimits(
                concurrency=max(int(concurrency * settings.number(f"bulkhead.{tier}.share")), 1),
                queue=settings.integer(f"bulkhead.{tier}.queue"),
            )
            for tier in TIERS
        }
        return cls(tiers, concurrency=concurrency)

    @property
    def utilisation(self) -> float:
        """Share of all places that are taken."""
        return sum(self._admitted.values()) / self._concurrency

    def admitted(self, tier: Tier) -> int:
        """How many of a tier are being worked on."""
        return self._admitted[tier]

    def waiting(self, tier: Tier) -> int:
        """How many of a tier wait."""
        return len(self._queues[tier])

    def arrive(self, tier: Tier, tenant: str, on_change: Callable[[], None]) -> Place:
        """Return the request's place: admitted, waiting or shed. Whoever has one that is not shed must leave it."""
        place = Place(tier, tenant, on_change)
        queue = self._queues[tier]
        if self._may_enter(tier):  # so nobody of this tier waits
            self._admit(place)
            return place
        if len(queue) >= self._tiers[tier].queue:
            longest = queue.longest() if len(queue) else tenant
            if queue.waiting(longest) <= queue.waiting(tenant) + 1:
                place.standing = Standing.SHED
                return place
            displaced = queue.newest(longest)
            displaced.standing = Standing.SHED
            displaced.on_change()
        queue.append(place)
        return place

    def leave(self, place: Place) -> None:
        """Give a place back: the work is done, or the caller has left the queue."""
        standing, place.standing = place.standing, Standing.GONE
        if standing is Standing.WAITING:
            self._queues[place.tier].remove(place)
        elif standing is Standing.ADMITTED:
            self._admitted[place.tier] -= 1
            self._fill()

    def _fill(self) -> None:
        for tier in TIERS:
            while len(self._queues[tier]) and self._may_enter(tier):
                place = self._queues[tier].take_turn()
                self._admit(place)
                place.on_change()

    def _may_enter(self, tier: Tier) -> bool:
        free = sum(self._admitted.values()) < self._concurrency
        return free and self._admitted[tier] < self._tiers[tier].concurrency

    def _admit(self, place: Place) -> None:
        self._admitted[place.tier] += 1
        place.standing = Standing.ADMITTED
