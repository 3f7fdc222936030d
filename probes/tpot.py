"""Time per output token."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Latency

from ._quantiles import judge_quantiles, limits_of, times_per_token


@probe
def tpot(
    window: Window,
    *,
    p50: Latency | None = None,
    p90: Latency | None = None,
    p95: Latency | None = None,
    p99: Latency | None = None,
    percentile: float | None = None,
    at_most: Latency | None = None,
) -> Verdict:
    """Quantiles of the time per output token: the mean gap between the tokens of one answer, after the first.

    Over all streamed requests: one without a complete answer is infinitely slow, however fast its tokens came. Answers
    too short to have a gap are left out. p99 needs 100 requests, p99.9 1000, the others 20.

    Args:
        p50: the median is at most this.
        p90: the 90th percentile is at most this.
        p95: the 95th percentile is at most this.
        p99: the 99th percentile is at most this. State at least one.
        percentile: any other, such as 99.9; goes with at-most.
        at_most: that percentile is at most this.

    Raises:
        ValueError: the arguments make no sense.
    """
    limits = limits_of(percentile, at_most, p50=p50, p90=p90, p95=p95, p99=p99)
    return judge_quantiles(
        times_per_token(window.requests), missing="got no complete answer", limits=limits, what="streams"
    )
