"""Prometheus metrics of a worker, under vLLM's names where vLLM has them (https://docs.vllm.ai/en/stable/usage/metrics/).

vLLM writes some of its counters without the `_total` that Prometheus adds; dashboards read the names below.
"""

from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest

__all__ = ["WorkerMetrics"]

ENGINE = "0"
"""vLLM numbers its data-parallel engines; a worker is one."""
_LATENCY = (0.3, 0.5, 0.8, 1, 1.5, 2, 2.5, 5, 10, 15, 20, 30, 40, 50, 60)
_FIRST_TOKEN = (0.001, 0.005, 0.01, 0.02, 0.04, 0.06, 0.08, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10, 20, 40)
_INTER_TOKEN = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1, 2.5, 5)

disable_created_metrics()  # type: ignore[no-untyped-call]


class WorkerMetrics:
    """All metrics of one worker, in a registry of its own."""

    def __init__(self, model: str) -> None:
        self.registry = CollectorRegistry()
        self._labels = {"model_name": model, "engine": ENGINE}
        self.preemptions = self._counter("vllm:num_preemptions", "Preemptions.")
        self.prompt_tokens = self._counter("vllm:prompt_tokens", "Prompt tokens computed.")
        self.generation_tokens = self._counter("vllm:generation_tokens", "Tokens generated.")
        self.time_to_first_token = self._histogram(
            "vllm:time_to_first_token_seconds", "From a request's arrival to its first token.", _FIRST_TOKEN
        )
        self.inter_token_latency = self._histogram(
            "vllm:inter_token_latency_seconds", "Between two tokens of a request.", _INTER_TOKEN
        )
        self.latency = self._histogram("vllm:e2e_request_latency_seconds", "Whole requests.", _LATENCY)
        self.queue_time = self._histogram("vllm:request_queue_time_seconds", "Waiting for the first step.", _LATENCY)
        self.finished = _Finished(
            Counter(
                "vllm:request_success",
                "Requests that ended, by how; error and abort are no success, whatever the name says.",
                [*self._labels, "finished_reason"],
                registry=self.registry,
            ),
            tuple(self._labels.values()),
        )
        self.out_of_memory = self._counter("inference_out_of_memory", "How often memory for blocks was refused.")
        self.backpressure = self._counter("inference_backpressure", "Requests refused for lack of room.")

    def watch(self, name: str, doc: str, read: Callable[[], float]) -> None:
        """Show a gauge that is read when the page is asked for."""
        gauge = Gauge(name, doc, list(self._labels), registry=self.registry)
        gauge.labels(**self._labels).set_function(read)

    def describe_cache(self, **facts: str) -> None:
        """Show facts about the cache as the labels of vLLM's `cache_config_info`."""
        info = Gauge("vllm:cache_config_info", "The cache.", ["engine", *facts], registry=self.registry)
        info.labels(engine=ENGINE, **facts).set(1)

    def page(self) -> bytes:
        """Return all metrics in Prometheus' text format."""
        return generate_latest(self.registry)

    def _counter(self, name: str, doc: str) -> Counter:
        return Counter(name, doc, list(self._labels), registry=self.registry).labels(**self._labels)

    def _histogram(self, name: str, doc: str, buckets: tuple[float, ...]) -> Histogram:
        histogram = Histogram(name, doc, list(self._labels), buckets=buckets, registry=self.registry)
        return histogram.labels(**self._labels)


class _Finished:
    """`vllm:request_success_total` with all labels but the reason filled in."""

    def __init__(self, counter: Counter, labels: tuple[str, ...]) -> None:
        self._counter = counter
        self._labels = labels

    def labels(self, reason: str) -> Counter:
        return self._counter.labels(*self._labels, reason)
