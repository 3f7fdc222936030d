"""Time to the end of the answer."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Latency

from ._quantiles import judge_quantiles, total_of


@probe
def total(
    window: Window,
    *,
    p50: Latency | None = None,
    p90: Latency | None = None,
    p95: Latency | None = None,
    p99: Latency | None = None,
) -> Verdict:
    """Quantiles of the time to the end of the answer, from when the request was meant to be sent.

    Over all requests: one without a complete answer is infinitely slow, however soon it failed. p99 needs 100 requests,
    the others 20.

    Args:
        p50: the median is at most this.
        p90: the 90th percentile is at most this.
        p95: the 95th percentile is at most this.
        p99: the 99th percentile is at most this. State at least one of the four.

    Raises:
        ValueError: the arguments make no sense.
    """
    limits = {50: p50, 90: p90, 95: p95, 99: p99}
    return judge_quantiles(window, measure=total_of, missing="got no complete answer", limits=limits)
