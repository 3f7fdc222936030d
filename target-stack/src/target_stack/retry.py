"""Retry budget: how often, how soon and at whose expense a failed call of a model is made again.

Three bounds, each of which holds by itself:

- one request makes at most `max_attempts` calls, whatever failed and wherever;
- a service that was called for this request is called again only after an exponential backoff with jitter, and not
  before its `Retry-After`; one that did not say when to come back (a spend limit) is not called again;
- all requests together may retry as often as a token bucket allows, which every request fills by a share of a token.
  That is what keeps retries from multiplying the load on something that fails for everybody.

A call of a service that this request has not called yet is failover and needs none of this. Replicas of one model are
one service.

Libraries that were read: tenacity and stamina retry one callable and know neither a budget that requests share nor a
deadline; urllib3's Retry honours Retry-After, but sleeps by itself. gRPC's retry throttling and Finagle's RetryBudget
have the bucket.
"""

import math
import random
from dataclasses import dataclass
from enum import StrEnum
from typing import Self

from target_stack.clock import Clock
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, ErrorSource, FailureKind
from target_stack.retry_after import wait_of
from target_stack.settings import Settings

__all__ = ["Retries", "RetryBudget", "RetryConfig", "RetryMode"]


class RetryMode(StrEnum):
    """`off` calls nothing twice for one request; `naive` tries everything three times, at once."""

    ON = "on"
    OFF = "off"
    NAIVE = "naive"


NAIVE_TRIES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryConfig:
    """Times in seconds; `jitter` is a share of the wait, to either side."""

    mode: RetryMode = RetryMode.ON
    max_attempts: int = 3
    base: float = 1.0
    factor: float = 2.0
    jitter: float = 0.5
    cap: float = 60.0

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator has configured it."""
        return cls(
            mode=RetryMode(settings.text("retry")),
            max_attempts=settings.integer("llm.max-attempts"),
            base=settings.number("retry.backoff"),
            cap=settings.number("retry.backoff-cap"),
        )

    def backoff(self, failures: int, rng: random.Random) -> float:
        """Return the wait after the so-manieth failure, the first being 1."""
        wait = min(self.base * self.factor ** (failures - 1), self.cap)
        return min(wait * rng.uniform(1 - self.jitter, 1 + self.jitter), self.cap)


class RetryBudget:
    """The token bucket. Retries never exceed `reserve` plus `share` of the requests, over any stretch of time."""

    def __init__(self, *, share: float, reserve: int) -> None:
        self._share = share
        self._reserve = float(reserve)
        self.tokens = self._reserve

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator has configured it."""
        return cls(share=settings.number("retry.budget"), reserve=settings.integer("retry.reserve"))

    def request(self) -> None:
        """A request has come."""
        self.tokens = min(self.tokens + self._share, self._reserve)

    def spend(self) -> bool:
        """Take what one retry costs; return False when there is too little."""
        # Shares such as 0.1 add up to a hair less than a whole token.
        if self.tokens < 1 - 1e-9:
            return False
        self.tokens = max(self.tokens - 1, 0.0)
        return True


class Retries:
    """One request's. Counts its calls and says how long to wait before each."""

    def __init__(
        self, config: RetryConfig, budget: RetryBudget, clock: Clock, rng: random.Random, *, deadline: Deadline
    ) -> None:
        self._config = config
        self._budget = budget
        self._clock = clock
        self._rng = rng
        self._deadline = deadline
        self._called: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._failures: dict[str, int] = {}
        self.calls = 0
        budget.request()

    @property
    def exhausted(self) -> bool:
        """Whether this request has made all the calls that it may make."""
        return self.calls >= self._config.max_attempts

    def called(self, service: str) -> None:
        """A call has been made."""
        self.calls += 1
        self._called.add(service)

    def failed(self, name: str, error: DependencyError) -> None:
        """It has failed: fix the moment before which the same dependency must not be called again."""
        failures = self._failures[name] = self._failures.get(name, 0) + 1
        wait = self._config.backoff(failures, self._rng) if self._config.mode is RetryMode.ON else math.inf
        asked_for = wait_of(error.retry_after, now=self._clock.unix())
        if asked_for is not None:
            wait = max(wait, asked_for) if asked_for <= self._config.cap else math.inf
        elif error.kind is FailureKind.REFUSED or error.source is not ErrorSource.PROVIDER:
            # Our own breaker; a limit without an end; a request that is itself at fault.
            wait = math.inf
        self._not_before[name] = self._clock.monotonic() + wait

    def wait(self, name: str) -> float:
        """Return how long to wait before this dependency may be called, infinite for never."""
        return max(self._not_before.get(name, 0.0) - self._clock.monotonic(), 0.0)

    def is_retry(self, service: str) -> bool:
        """Whether a call of this service would be one more of the same."""
        return service in self._called

    def in_time(self, wait: float) -> bool:
        """Whether something is left of the deadline after such a wait."""
        return wait < self._deadline.left_downstream()

    def afford(self) -> bool:
        """Take a retry out of the budget; return False when there is none left."""
        return self._budget.spend()
