"""Admission: what a request must pass before any work is done for it. Rate limit, backpressure, then the bulkhead."""

import asyncio
import ipaddress
import math
from collections.abc import AsyncIterator, Hashable, Mapping
from contextlib import asynccontextmanager

from target_stack.auth import Principal
from target_stack.backpressure import Backpressure
from target_stack.bulkhead import Bulkhead, Standing
from target_stack.clock import Clock
from target_stack.deadline import Deadline
from target_stack.failures import ErrorSource, StackError
from target_stack.metrics import GatewayMetrics
from target_stack.rate_limit import Limit, RateLimiter
from target_stack.tier import Tier

__all__ = ["Admission", "address_of"]


def address_of(peer: str | None, forwarded_for: str | None) -> str | None:
    """Return the caller's address, None when it is not known.

    A peer on this machine is a proxy in front of the gateway: the last address that it forwards for is the caller's,
    and its own says nothing. What a peer from elsewhere claims is not believed.
    """
    if peer is None or not _is_loopback(peer):
        return peer
    return (forwarded_for or "").rpartition(",")[2].strip() or None


def _is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False


class Admission:
    """The front door. `limits` is None when there is no rate limit, `bulkhead` when there is none."""

    def __init__(
        self,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        limits: Mapping[Tier, Limit] | None,
        backpressure: Backpressure,
        bulkhead: Bulkhead | None,
        retry_after: float,
    ) -> None:
        """`retry_after`, in seconds, is what those are told who were shed from a queue."""
        self._clock = clock
        self._metrics = metrics
        self._limits = limits
        self._limiter = RateLimiter(clock)
        self._backpressure = backpressure
        self._bulkhead = bulkhead
        self._retry_after = retry_after

    def check(self, principal: Principal, address: str | None) -> None:
        """Raise StackError (429) when the request must not come in now."""
        if self._limits is not None:
            limit = self._limits[principal.tier]
            keys: dict[Hashable, Limit] = {("user", principal.id): limit}
            if address is not None:
                keys["address", f"{principal.tier} {address}"] = limit
            if wait := self._limiter.take(keys):
                self._metrics.rate_limited.labels(principal.tier).inc()
                raise _too_many("Too many requests.", "rate_limit_exceeded", wait)
        pressed = self._backpressure.sheds(principal.tier)
        if pressed is not None:
            raise self._shed(principal.tier, "backpressure", pressed)

    @asynccontextmanager
    async def place(self, principal: Principal, deadline: Deadline) -> AsyncIterator[None]:
        """Wait for a place and hold it for the length of the block.

        Raises StackError when the request is shed (429; 503 for enterprise), or when its time is up first (504).
        """
        if self._bulkhead is None:
            yield
            return
        changed = asyncio.Event()
        since = self._clock.monotonic()
        place = self._bulkhead.arrive(principal.tier, principal.tenant, changed.set)
        try:
            if place.standing is Standing.WAITING:
                await _wait(changed, deadline)
            if place.standing is Standing.SHED:
                raise self._shed(principal.tier, "queue_full", self._retry_after)
            self._metrics.queue_wait.labels(principal.tier).observe(self._clock.monotonic() - since)
            yield
        finally:
            self._bulkhead.leave(place)

    def _shed(self, tier: Tier, reason: str, wait: float) -> StackError:
        self._metrics.shed.labels(tier, reason).inc()
        if tier == "enterprise":
            # It is never shed for another's sake. What does not fit into its queue either is our own overload.
            return StackError(503, "The gateway is overloaded.", code="overloaded", retry_after=_seconds(wait))
        return _too_many("The system is busy; requests of this tier are held back.", "shed", wait)


async def _wait(changed: asyncio.Event, deadline: Deadline) -> None:
    left = deadline.left_downstream()
    try:
        async with asyncio.timeout(None if math.isinf(left) else left):
            await changed.wait()
    except TimeoutError:
        message = "The request's time was up while it waited for its turn."
        raise StackError(504, message, code="deadline_exceeded", kind="timeout_error") from None


def _too_many(message: str, code: str, wait: float) -> StackError:
    return StackError(
        429, message, code=code, kind="rate_limit_error", source=ErrorSource.RATE_LIMIT, retry_after=_seconds(wait)
    )


def _seconds(wait: float) -> str:
    return str(max(math.ceil(wait), 1))
