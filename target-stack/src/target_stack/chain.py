"""The provider chain: who is called for one request, in what order, and how soon.

Providers come in the order of failover; before them the replicas of a self-hosted model, where there are any. Which
calls are retries, and what those may cost, is the retry budget's to say.
"""

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from target_stack.clock import Clock
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, FailureKind
from target_stack.ladder import ModelClass
from target_stack.providers import Provider
from target_stack.replicas import ReplicaPool
from target_stack.retry import NAIVE_TRIES, Retries, RetryBudget, RetryConfig, RetryMode

__all__ = ["Candidate", "ProviderChain"]

REPLICAS_SERVICE = "inference"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call worth trying, after a wait of so many seconds."""

    provider: Provider
    model: str
    model_class: ModelClass
    wait: float = 0.0


class ProviderChain:
    """Pure choice, but for the replicas' turns. `on_retry` is told the dependency and made, no_budget or no_time."""

    def __init__(
        self,
        providers: Sequence[Provider],
        clock: Clock,
        rng: random.Random,
        *,
        models: dict[ModelClass, str],
        retry: RetryConfig,
        budget: RetryBudget,
        failover: bool,
        replicas: ReplicaPool[Provider] | None = None,
        on_retry: Callable[[str, str], None] = lambda _name, _outcome: None,
    ) -> None:
        self._providers = tuple(providers)
        self._clock = clock
        self._rng = rng
        self._replicas = replicas
        self._failover = failover
        self._retry = retry
        self._budget = budget
        self._on_retry = on_retry
        self.models = models

    @property
    def first(self) -> frozenset[str]:
        """Names of those of whom one answers when all is well."""
        return frozenset(self._replicas.names if self._replicas else (self._providers[0].name,))

    def candidates(
        self,
        classes: Sequence[ModelClass],
        failures: dict[str, DependencyError],
        *,
        deadline: Deadline,
        retries: bool = True,
    ) -> Iterator[Candidate]:
        """Yield calls to try, one after the other, until one succeeds.

        The caller waits as long as the candidate says, and notes each failure under its dependency's name before it
        asks for the next. Without `retries` nothing is called twice.
        """
        providers = self._in_order()
        wanted = [
            Candidate(provider, self.models[model_class], model_class)
            for model_class in classes
            for provider in providers
            if self.models[model_class] in provider.models
        ]
        if self._retry.mode is RetryMode.NAIVE:
            return self._naively(wanted, failures)
        config = self._retry if retries else dataclasses.replace(self._retry, mode=RetryMode.OFF)
        bounds = Retries(config, self._budget, self._clock, self._rng, deadline=deadline)
        return self._within_bounds(wanted, failures, bounds)

    def _within_bounds(
        self, wanted: list[Candidate], failures: dict[str, DependencyError], retries: Retries
    ) -> Iterator[Candidate]:
        tried: Counter[Candidate] = Counter()
        while wanted and not retries.exhausted:
            # What can be done soonest; then what has not been done yet; then as the ladder orders it.
            chosen = min(wanted, key=lambda one: (retries.wait(one.provider.name), tried[one]))
            name = chosen.provider.name
            service, wait = self._service(name), retries.wait(name)
            if math.isinf(wait):
                return
            if wait and not retries.in_time(wait):
                self._on_retry(name, "no_time")
                return
            if retries.is_retry(service):
                if not retries.afford():
                    self._on_retry(name, "no_budget")
                    wanted = [one for one in wanted if self._service(one.provider.name) != service]
                    continue
                self._on_retry(name, "made")
            tried[chosen] += 1
            yield Candidate(chosen.provider, chosen.model, chosen.model_class, wait)
            failure = failures[name]
            if failure.kind is not FailureKind.REFUSED:
                retries.called(service)
            retries.failed(name, failure)

    def _naively(self, wanted: list[Candidate], failures: dict[str, DependencyError]) -> Iterator[Candidate]:
        for candidate in wanted:
            for turn in range(NAIVE_TRIES):
                if turn:
                    self._on_retry(candidate.provider.name, "made")
                yield candidate
                if failures[candidate.provider.name].kind is FailureKind.REFUSED:
                    break

    def _service(self, name: str) -> str:
        return REPLICAS_SERVICE if self._replicas and name in self._replicas.names else name

    def _in_order(self) -> Sequence[Provider]:
        if self._failover:
            return (*(self._replicas.order() if self._replicas else ()), *self._providers)
        return (self._replicas.first() if self._replicas else self._providers[0],)
