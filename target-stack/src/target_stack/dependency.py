"""One dependency of the gateway: its breaker, its time limit and the count of calls made to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from target_stack.breaker import CircuitBreaker, CircuitOpenError
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, ErrorSource, FailureKind, out_of_time
from target_stack.metrics import GatewayMetrics

__all__ = ["Attempts", "Dependency"]

T = TypeVar("T")


@dataclass(slots=True)
class Attempts:
    """Calls made for one request, by dependency, and until when more may be made."""

    deadline: Deadline = field(default_factory=Deadline)
    calls: Counter[str] = field(default_factory=Counter)


class Dependency:
    """Guards the calls of one dependency. `timeout` is in seconds and covers everything: pool, connect, answer."""

    def __init__(
        self, name: str, breaker: CircuitBreaker, metrics: GatewayMetrics, *, timeout: float, tries: int = 1
    ) -> None:
        """`tries` above 1 is a weakness to be shown: a call that failed is made again at once, whatever failed."""
        self.name = name
        self.breaker = breaker
        self.timeout = timeout
        self._calls = metrics.dependency_calls
        self._tries = tries

    @asynccontextmanager
    async def guarded(self, attempts: Attempts) -> AsyncIterator[None]:
        """Count the block as one call and tell the breaker how it ended.

        Raises DependencyError when the breaker refuses the call, or as the block raises it. Leaving the block by any
        other exception, cancellation included, is no verdict on the dependency.
        """
        if attempts.deadline.left_downstream() <= 0:
            raise out_of_time(self.name)
        try:
            permit = self.breaker.acquire()
        except CircuitOpenError as error:
            self._calls.labels(self.name, "refused").inc()
            raise DependencyError(self.name, str(error), kind=FailureKind.REFUSED) from None
        attempts.calls[self.name] += 1
        with permit:
            try:
                yield
            except DependencyError as error:
                self._calls.labels(self.name, error.source.value).inc()
                if error.source is ErrorSource.PROVIDER:
                    permit.failure(error.reason)
                raise
            except BaseException:
                self._calls.labels(self.name, "abandoned").inc()
                raise
            permit.success()
            self._calls.labels(self.name, "ok").inc()

    async def call(self, work: Callable[[], Awaitable[T]], attempts: Attempts) -> T:
        """Run `work`, within the time limit; raise DependencyError when it is late, fails or is refused."""
        for _ in range(self._tries - 1):
            try:
                return await self._call_once(work, attempts)
            except DependencyError as error:
                if error.kind in (FailureKind.REFUSED, FailureKind.DEADLINE):
                    raise
        return await self._call_once(work, attempts)

    async def _call_once(self, work: Callable[[], Awaitable[T]], attempts: Attempts) -> T:
        async with self.guarded(attempts):
            left = attempts.deadline.left_downstream()
            try:
                async with asyncio.timeout(min(self.timeout, left)):
                    return await work()
            except TimeoutError:
                if left < self.timeout:
                    raise out_of_time(self.name) from None
                reason = f"no answer within {self.timeout * 1000:.0f} ms"
                raise DependencyError(self.name, reason, kind=FailureKind.TIMEOUT) from None
