"""The models behind the gateway, built from settings: providers, replicas of a self-hosted one, the chain over both."""

import functools
import random
from collections.abc import Callable, Mapping, Sequence

from target_stack.catalogue.names import PROVIDERS, REPLICAS, TERTIARY
from target_stack.chain import ProviderChain
from target_stack.clock import Clock
from target_stack.dependency import Dependency
from target_stack.http_peer import HttpPeer, Lifetime
from target_stack.ladder import ModelClass
from target_stack.metrics import GatewayMetrics
from target_stack.naming import Resolver
from target_stack.providers import Provider, StreamTimeouts
from target_stack.readiness import expect_one_ready, healthy
from target_stack.replicas import HealthChecks, ReplicaPool
from target_stack.retry import RetryBudget, RetryConfig
from target_stack.settings import Settings
from target_stack.shares import shares_from
from target_stack.variables import named_urls

__all__ = ["LanguageModels", "providers_of", "replicas_of"]


def replicas_of(settings: Settings) -> tuple[str, ...]:
    """Return the names of the inference workers that are asked first; none where a provider serves the main model."""
    return REPLICAS if settings.text("main-model.served-by") == "self-hosted" else ()


def providers_of(settings: Settings) -> tuple[str, ...]:
    """Return the names of the providers that there may be."""
    return tuple(name for name in PROVIDERS if name != TERTIARY or settings.switch("providers.tertiary"))


class LanguageModels:
    """All of them, the connections to them, and the chain in which they are asked."""

    def __init__(
        self,
        settings: Settings,
        environ: Mapping[str, str],
        clock: Clock,
        metrics: GatewayMetrics,
        dependencies: Mapping[str, Dependency],
        *,
        resolver: Resolver | None,
        source: random.Random,
    ) -> None:
        """Raise ConfigurationError when the environment does not say where they are. `source` is for jitter."""
        self._settings = settings
        self._clock = clock
        self._dependencies = dependencies
        replicas = replicas_of(settings)
        connect_timeout = settings.number("llm.connect-timeout")

        def peers(variable: str, names: Sequence[str], *, lifetime: float = 0.0) -> dict[str, HttpPeer]:
            urls = named_urls(environ, variable, names)
            lasting = Lifetime(lifetime, clock) if lifetime else None
            return {
                name: HttpPeer(url, connect_timeout=connect_timeout, resolver=resolver, lifetime=lasting)
                for name, url in urls.items()
            }

        lifetime = settings.number("inference.connection-lifetime")
        self._providers = peers("STACK_PROVIDERS", providers_of(settings))
        self._replicas = peers("STACK_REPLICAS", replicas, lifetime=lifetime) if replicas else {}
        self._pool = self._replica_pool(metrics) if replicas else None
        self.chain = self._chain(metrics, source)

    @property
    def renewals(self) -> dict[str, Callable[[], None]]:
        """What starts each of them with no connections."""
        return {name: peer.renew for name, peer in (*self._providers.items(), *self._replicas.items())}

    async def provider_ready(self) -> None:
        """Raise DependencyError unless one provider says that it is ready."""
        await expect_one_ready(self._providers)

    async def replica_ready(self) -> None:
        """Raise DependencyError unless one replica says that it is ready."""
        await expect_one_ready(self._replicas)

    def health_checks(self) -> HealthChecks | None:
        """Return what takes replicas out of service and back, None where there are none."""
        if self._pool is None:
            return None
        limit = self._settings.number("inference.health-timeout")
        renewals = self.renewals
        return HealthChecks(
            self._pool,
            {name: functools.partial(healthy, peer, limit) for name, peer in self._replicas.items()},
            self._clock,
            interval=self._settings.number("inference.health-interval"),
            # Connections to one that was cut off look alive, also when it is back.
            on_lost=lambda name: renewals[name](),
        )

    async def aclose(self) -> None:
        """Close all idle connections."""
        for peer in (*self._providers.values(), *self._replicas.values()):
            await peer.aclose()

    def _provider(self, name: str, peer: HttpPeer, models: Sequence[str]) -> Provider:
        timeouts = StreamTimeouts(
            first_token=self._settings.number("llm.first-token-timeout"),
            inter_token=self._settings.number("llm.inter-token-timeout"),
            total=self._settings.number("llm.timeout"),
        )
        return Provider(
            self._dependencies[name],
            peer,
            self._clock,
            models=models,
            timeouts=timeouts,
            honour_retry_after=self._settings.switch("honour-retry-after"),
        )

    def _replica_pool(self, metrics: GatewayMetrics) -> ReplicaPool[Provider]:
        settings = self._settings
        models = (settings.text("inference.model"),)
        replicas = [self._provider(name, peer, models) for name, peer in self._replicas.items()]
        pool = ReplicaPool(
            replicas, failures=settings.integer("inference.health-failures"), enabled=settings.switch("replica-health")
        )
        for replica in replicas:
            metrics.watch_replica(
                replica.name,
                ready=functools.partial(pool.ready, replica.name),
                requests=functools.partial(getattr, replica, "outstanding"),
            )
        return pool

    def _chain(self, metrics: GatewayMetrics, source: random.Random) -> ProviderChain:
        settings = self._settings
        return ProviderChain(
            [self._provider(name, peer, settings.words(f"{name}.model")) for name, peer in self._providers.items()],
            self._clock,
            source,
            models={
                ModelClass.MAIN: settings.text("main-model"),
                ModelClass.SMALL: settings.text("small-model"),
            },
            retry=RetryConfig.from_settings(settings),
            budget=RetryBudget.from_settings(settings),
            failover=settings.switch("failover"),
            shares=shares_from(settings.text("providers.shares"), self._providers),
            replicas=self._pool,
            on_retry=lambda name, outcome: metrics.retries.labels(name, outcome).inc(),
        )
