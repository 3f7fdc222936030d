"""Prometheus metrics of the gateway. Names and labels are a published contract: dashboards and probes read them."""

from collections.abc import Callable, Iterable
from functools import partial

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from target_stack.backpressure import Backpressure
from target_stack.breaker import CircuitBreaker, State, Transition
from target_stack.bulkhead import Bulkhead
from target_stack.service_mode import ServiceMode
from target_stack.tier import TIERS
from target_stack.tombstones import Tombstones

__all__ = ["GatewayMetrics"]

FALLBACKS = (
    *("cached_retrieval", "keyword", "no_retrieval", "small_model"),
    *("provider", "cached_answer", "semantic_answer", "emergency"),
)
_STATE_VALUE = {State.CLOSED: 0, State.HALF_OPEN: 1, State.OPEN: 2}

# The `_created` series double the page and nobody reads them.
disable_created_metrics()  # type: ignore[no-untyped-call]


class _BreakerCollector(Collector):
    """Reads the breakers when the page is asked for, so that no gauge can be out of date."""

    def __init__(self, breakers: Callable[[], dict[str, CircuitBreaker]]) -> None:
        self._breakers = breakers

    def collect(self) -> Iterable[Metric]:
        breakers = self._breakers()
        states = GaugeMetricFamily("circuit_breaker_state", "0 closed, 1 half-open, 2 open.", labels=["dependency"])
        for name, breaker in breakers.items():
            states.add_metric([name], _STATE_VALUE[breaker.state])
        yield states
        opened = [breaker.state is State.OPEN for breaker in breakers.values()]
        yield GaugeMetricFamily("circuit_breaker_any_open", "1 while any breaker is open.", value=float(any(opened)))
        yield GaugeMetricFamily(
            "circuit_breaker_all_open", "1 while all breakers are open.", value=float(bool(opened) and all(opened))
        )


class GatewayMetrics:
    """All metrics of one gateway, in a registry of its own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._breakers: dict[str, CircuitBreaker] = {}
        self.registry.register(_BreakerCollector(lambda: self._breakers))
        self.transitions = self._counter(
            "circuit_breaker_transitions", "Changes of a breaker's state.", "dependency", "from", "to"
        )
        self.oscillations = self._counter(
            "circuit_breaker_oscillations", "Times a breaker opened and closed again.", "dependency"
        )
        self.degradation_level = Histogram(
            "degradation_level", "Rung of each answer.", buckets=(0, 1, 2, 3, 4), registry=self.registry
        )
        self.answers = self._counter("answers", "Answers, by rung.", "level")
        self.fallbacks = self._counter("fallback", "Stand-ins used, by kind.", "kind")
        for kind in FALLBACKS:
            # None of them up to now, which is another thing than nobody's counting them.
            self.fallbacks.labels(kind)
        self.cache_requests = self._counter("cache_requests", "Look-ups in a cache.", "cache", "result")
        self.cache_writes = self._counter("cache_writes", "Records that were stored in the cache.")
        self.cache_age = Histogram(
            "cache_age_seconds",
            "Age of what a cache gave.",
            buckets=(1, 5, 15, 60, 300, 900, 3600, 14400, 86400),
            registry=self.registry,
        )
        self.semantic_similarity = Histogram(
            "semantic_similarity",
            "Cosine of a question and the one whose answer it was given.",
            buckets=(0, 0.5, 0.8, 0.9, 0.92, 0.94, 0.96, 0.98, 0.99, 1),
            registry=self.registry,
        )
        self.quarantined = self._counter(
            "documents_quarantined", "Documents with a corrupt vector, by what is wrong with it.", "reason", "found_at"
        )
        self.context_documents = self._counter(
            "context_documents", "Documents that were found: packed into a prompt, or left out of it.", "outcome"
        )
        self.ttft = Histogram(
            "ttft_seconds",
            "From a request's arrival to its first token.",
            buckets=(0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75, 1, 2, 5, 10, 30),
            registry=self.registry,
        )
        self.tokens = self._counter("tokens", "Tokens, as the providers counted them.", "direction")
        self.cost = self._counter("cost_usd", "Cost of all provider calls, USD.")
        self.dependency_calls = self._counter(
            "dependency_calls", "Calls of a dependency; refused ones were not made.", "dependency", "outcome"
        )
        self.calls_per_request = Histogram(
            "calls_per_request",
            "Calls of a dependency for one request; requests that made none are left out.",
            ["dependency"],
            buckets=(1, 2, 3, 6, 9),
            registry=self.registry,
        )
        self.rate_limited = self._counter("rate_limited", "Requests over their user's or address's limit.", "tier")
        self.shed = self._counter("shed", "Requests that were not let in, though within their limit.", "tier", "reason")
        self.queue_wait = Histogram(
            "queue_wait_seconds",
            "From a request's arrival at the bulkhead to its place behind it.",
            ["tier"],
            buckets=(0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
            registry=self.registry,
        )
        self._queue_depth = self._gauge("queue_depth", "Requests that wait for a place.", "tier")
        self._in_progress = self._gauge("requests_in_progress", "Requests that have a place.", "tier")
        self._backpressure = Gauge(
            "backpressure_level", "1 while the free tier is shed, 2 while pro is too.", registry=self.registry
        )
        self.single_flight = self._counter(
            "single_flight", "Questions put to models: led, or joined to the same one under way.", "role"
        )
        self._mode = Gauge("service_mode", "0 full, 1 reduced, 2 emergency.", registry=self.registry)
        self.mode_changes = self._counter("service_mode_changes", "Changes of the service's mode.", "from", "to")
        self.retries = self._counter("retries", "Retries, and why one was not made.", "dependency", "outcome")
        self.requests = self._counter("requests", "Questions that were let in, by tier.", "tier")
        self.regions = self._counter(
            "region_requests", "Questions that were let in, by the region that their token says.", "region"
        )
        self.routed = self._counter("routed", "Questions by the model that they were meant for.", "route")
        self.policy_questions = self._counter(
            "policy_questions", "Questions by their policy, and by what chose it.", "policy", "chosen_by"
        )
        self.errors = self._counter("errors", "Requests that ended in an error, by whose fault it was.", "source")
        self.stream_failures = self._counter("stream_failures", "Streams that ended in an error event.", "reason")
        self._replica_ready = self._gauge("replica_ready", "1 while a replica's health check succeeds.", "replica")
        self._replica_requests = self._gauge("replica_requests", "Calls of a replica under way.", "replica")

    def _counter(self, name: str, doc: str, *labels: str) -> Counter:
        return Counter(name, doc, labels, registry=self.registry)

    def _gauge(self, name: str, doc: str, *labels: str) -> Gauge:
        return Gauge(name, doc, labels, registry=self.registry)

    def watch_replica(self, name: str, *, ready: Callable[[], float], requests: Callable[[], float]) -> None:
        """Show this replica's state from now on."""
        self._replica_ready.labels(name).set_function(ready)
        self._replica_requests.labels(name).set_function(requests)

    def watch_admission(self, bulkhead: Bulkhead, backpressure: Backpressure) -> None:
        """Show the queues and what workers say from now on."""
        for tier in TIERS:
            self._queue_depth.labels(tier).set_function(partial(bulkhead.waiting, tier))
            self._in_progress.labels(tier).set_function(partial(bulkhead.admitted, tier))
        self._backpressure.set_function(lambda: backpressure.level)

    def watch_flags(self, *, stale: Callable[[], float], age: Callable[[], float]) -> None:
        """Show what is heard of the flag service from now on."""
        Gauge("feature_flags_stale", "1 while the flag service does not answer.", registry=self.registry).set_function(
            stale
        )
        Gauge(
            "feature_flags_age_seconds", "Since the flag service last answered.", registry=self.registry
        ).set_function(age)

    def watch_tombstones(self, tombstones: Tombstones) -> None:
        """Show what was deleted from now on."""
        self._gauge("tombstones", "Documents that were deleted.").set_function(lambda: tombstones.count)
        self._gauge("tombstones_pending", "Of these, those of which the database does not know yet.").set_function(
            lambda: len(tombstones.pending)
        )

    def watch_quarantine(self, held: Callable[[], float]) -> None:
        """Show how many documents are in quarantine from now on."""
        self._gauge("quarantined_documents", "Documents that are in quarantine.").set_function(held)

    def watch_mode(self, service: ServiceMode) -> None:
        """Show the service's mode from now on."""
        self._mode.set_function(lambda: service.mode.value)

    def watch(self, dependency: str, breaker: CircuitBreaker) -> None:
        """Show this breaker's state from now on."""
        self._breakers[dependency] = breaker

    def transition(self, dependency: str, transition: Transition) -> None:
        """Count a breaker's change of state."""
        self.transitions.labels(dependency, transition.from_state, transition.to_state).inc()
        if transition.to_state is State.CLOSED:
            self.oscillations.labels(dependency).inc()

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)
