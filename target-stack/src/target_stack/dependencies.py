"""The dependencies behind the gateway, built from settings: each with its time limit, and a breaker that tells."""

import functools
from collections.abc import Callable

from target_stack.breaker import BreakerConfig, CircuitBreaker, State, Transition
from target_stack.catalogue.names import DEPENDENCIES, PROVIDERS, REPLICAS
from target_stack.clock import Clock
from target_stack.dependency import Dependency
from target_stack.events import EventRing
from target_stack.language_models import providers_of, replicas_of
from target_stack.metrics import GatewayMetrics
from target_stack.retry import NAIVE_TRIES, RetryMode
from target_stack.settings import Settings

__all__ = ["dependencies"]


def dependencies(
    settings: Settings,
    clock: Clock,
    metrics: GatewayMetrics,
    events: EventRing,
    *,
    on_open: Callable[[str], None],
) -> dict[str, Dependency]:
    """Return all that these settings ask for, by name. `on_open` is told whose breaker has opened."""
    tries = NAIVE_TRIES if settings.text("retry") == RetryMode.NAIVE else 1

    def on_transition(name: str, transition: Transition) -> None:
        old, new = transition.from_state.value, transition.to_state.value
        events.breaker(name, from_state=old, to_state=new, reason=transition.reason)
        metrics.transition(name, transition)
        if transition.to_state is State.OPEN:
            on_open(name)

    def dependency(name: str) -> Dependency:
        told = functools.partial(on_transition, name)
        breaker = CircuitBreaker(_breaker_config(settings, name), clock, on_transition=told)
        events.breaker(name, from_state=None, to_state=State.CLOSED.value, reason="start")
        metrics.watch(name, breaker)
        timeout = settings.number("llm.timeout" if name in (*PROVIDERS, *REPLICAS) else f"{name}.timeout")
        return Dependency(name, breaker, metrics, timeout=timeout, tries=tries)

    absent = {*PROVIDERS, *REPLICAS} - {*providers_of(settings), *replicas_of(settings)}
    return {name: dependency(name) for name in DEPENDENCIES if name not in absent}


def _breaker_config(settings: Settings, name: str) -> BreakerConfig:
    return BreakerConfig(
        enabled=settings.switch("breaker"),
        failures=settings.integer(f"{name}.breaker.failures"),
        error_rate=settings.number(f"{name}.breaker.error-rate"),
        window=settings.number(f"{name}.breaker.window"),
        min_calls=settings.integer(f"{name}.breaker.min-calls"),
        recovery=settings.number(f"{name}.breaker.recovery"),
        probes=settings.integer(f"{name}.breaker.probes"),
        unstable_cycles=settings.integer(f"{name}.breaker.unstable-cycles"),
        unstable_window=settings.number(f"{name}.breaker.unstable-window"),
        unstable_recovery=settings.number(f"{name}.breaker.unstable-recovery"),
    )
