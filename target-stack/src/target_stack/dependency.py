"""One dependency of the gateway: its breaker, its time limit and the count of calls made to it."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

from target_stack.breaker import CircuitBreaker, CircuitOpenError
from target_stack.failures import DependencyError, ErrorSource, FailureKind
from target_stack.metrics import GatewayMetrics

__all__ = ["Attempts", "Dependency"]

T = TypeVar("T")
Attempts = Counter[str]
"""Calls made for one request, by dependency."""


class Dependency:
    """Guards the calls of one dependency. `timeout` is in seconds and covers everything: pool, connect, answer."""

    def __init__(self, name: str, breaker: CircuitBreaker, metrics: GatewayMetrics, *, timeout: float) -> None:
        self.name = name
        self.breaker = breaker
        self.timeout = timeout
        self._calls = metrics.dependency_calls

    @asynccontextmanager
    async def guarded(self, attempts: Attempts) -> AsyncIterator[None]:
        """Count the block as one call and tell the breaker how it ended.

        Raises DependencyError when the breaker refuses the call, or as the block raises it. Leaving the block by any
        other exception, cancellation included, is no verdict on the dependency.
        """
        try:
            permit = self.breaker.acquire()
        except CircuitOpenError as error:
            self._calls.labels(self.name, "refused").inc()
            raise DependencyError(self.name, str(error), kind=FailureKind.REFUSED) from None
        attempts[self.name] += 1
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
        """Run `work` once, within the time limit; raise DependencyError when it is late, fails or is refused."""
        async with self.guarded(attempts):
            try:
                async with asyncio.timeout(self.timeout):
                    return await work()
            except TimeoutError:
                reason = f"no answer within {self.timeout * 1000:.0f} ms"
                raise DependencyError(self.name, reason, kind=FailureKind.TIMEOUT) from None
