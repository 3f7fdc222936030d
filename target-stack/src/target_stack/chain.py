"""The provider chain: who is called for one request, in what order, and how soon.

Whose turn it is by its share is asked first, then the others in the order of failover. Where that one would not be
reached, its turn is another's, by their shares too. Replicas of a self-hosted model, where there are any, come before
all providers, which then have no share. Which calls are retries, and what those may cost, is the retry budget's to say.
"""

import dataclasses
import math
import random
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from target_stack.clock import Clock
from target_stack.deadline import Deadline
from target_stack.failures import DependencyError, FailureKind
from target_stack.ladder import ModelClass
from target_stack.providers import Provider
from target_stack.replicas import ReplicaPool
from target_stack.retry import NAIVE_TRIES, Retries, RetryBudget, RetryConfig, RetryMode
from target_stack.shares import Shares

__all__ = ["Candidate", "ProviderChain"]

REPLICAS_SERVICE = "inference"


@dataclass(frozen=True, slots=True)
class Candidate:
    """A call worth trying, after a wait of so many seconds. `failover`: it was another provider's turn."""

    provider: Provider
    model: str
    model_class: ModelClass
    failover: bool = False
    wait: float = 0.0


class ProviderChain:
    """Pure choice, but for the turns. `on_retry` is told the dependency and made, no_budget or no_time.

    `shares` are by provider; without them every turn is the first one's.
    """

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
        shares: Mapping[str, float] | None = None,
        replicas: ReplicaPool[Provider] | None = None,
        on_retry: Callable[[str, str], None] = lambda _name, _outcome: None,
    ) -> None:
        self._providers = tuple(providers)
        self._clock = clock
        self._rng = rng
        self._replicas = replicas
        self._failover = failover
        shares = shares or {self._providers[0].name: 1.0}
        self._turns, self._vacant_turns = Shares(shares), Shares(shares)
        self._retry = retry
        self._budget = budget
        self._on_retry = on_retry
        self.models = models

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
        providers, meant = self._in_order(self.models[classes[0]])
        wanted = [
            Candidate(provider, self.models[model_class], model_class, failover=provider.name not in meant)
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
            yield dataclasses.replace(chosen, wait=wait)
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

    def _in_order(self, model: str) -> tuple[Sequence[Provider], Collection[str]]:
        """Return whom to ask, and of whom one would be the first on a day on which all are well."""
        if self._replicas:
            replicas = (*self._replicas.order(), *self._providers) if self._failover else (self._replicas.first(),)
            return replicas, self._replicas.names
        meant, first = self._turn(model)
        ahead = [one for one in self._providers if one.name == first]
        behind = [one for one in self._providers if one.name != first]
        return (*ahead, *behind) if self._failover else ahead, (meant,)

    def _turn(self, model: str) -> tuple[str, str | None]:
        """Return whose turn it is to serve a model, and who takes it: nobody where none with a share can be reached."""
        serving = {one.name: one for one in self._providers if model in one.models}
        meant = self._turns.take(serving) or self._providers[0].name
        if not self._failover or (meant in serving and serving[meant].available):
            return meant, meant
        return meant, self._vacant_turns.take([name for name, one in serving.items() if one.available])
