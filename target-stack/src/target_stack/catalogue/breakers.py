"""When each dependency is left alone, and for how long."""

from collections.abc import Iterator

from target_stack.catalogue.forms import integer, share, span
from target_stack.catalogue.names import PROVIDERS, REPLICAS
from target_stack.setting import Setting

__all__ = ["breakers"]


def breakers() -> Iterator[Setting]:
    """Yield the settings of every circuit breaker."""
    yield from _breaker("vector-db", failures=5, recovery=30.0)
    yield from _breaker("cache", failures=5, recovery=30.0)
    yield from _breaker("embedding", failures=3, recovery=60.0)
    for name in PROVIDERS:
        yield from _breaker(name, failures=3, recovery=60.0)
    for name in REPLICAS:
        # A replica that is started again is back in seconds, and its health is watched besides.
        yield from _breaker(name, failures=3, recovery=10.0)


def _breaker(dependency: str, *, failures: int, recovery: float) -> Iterator[Setting]:
    prefix = f"{dependency}.breaker."
    yield integer(prefix + "failures", failures, "Consecutive failures that open the breaker.")
    yield share(prefix + "error-rate", 0.1, "Share of failed calls in the window that opens it.")
    yield span(prefix + "window", 10.0, "Length of the rolling window for the error rate.")
    yield integer(prefix + "min-calls", 20, "Calls in the window before the error rate counts.")
    yield span(prefix + "recovery", recovery, "How long it stays open before it lets probes through.")
    yield integer(prefix + "probes", 3, "Half-open calls, all of which must succeed to close it.")
    yield integer(
        prefix + "unstable-cycles",
        3,
        "More open/close cycles than this within the unstable window make the dependency unstable.",
    )
    yield span(prefix + "unstable-window", 600.0, "Window in which open/close cycles are counted.")
    yield span(prefix + "unstable-recovery", 300.0, "Recovery time of an unstable dependency.")
