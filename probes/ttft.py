"""Time to first token."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Latency

from ._quantiles import judge_quantiles, ttft_of


@probe
def ttft(
    window: Window,
    *,
    p50: Latency | None = None,
    p90: Latency | None = None,
    p95: Latency | None = None,
    p99: Latency | None = None,
) -> Verdict:
    """Quantiles of the time to first token, from when the request was meant to be sent.

    Over all requests: one that never got a token is infinitely slow. p99 needs 100 requests, the others 20.

    Args:
        p50: the median is at most this.
        p90: the 90th percentile is at most this.
        p95: the 95th percentile is at most this.
        p99: the 99th percentile is at most this. State at least one of the four.

    Raises:
        ValueError: the arguments make no sense.
    """
    limits = {50: p50, 90: p90, 95: p95, 99: p99}
    return judge_quantiles(window, measure=ttft_of, missing="never got a token", limits=limits)
