"""Time to the end of the answer."""

from typing import Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe

from ._quantiles import LatencyLimits, judge_quantiles, times_to_end


@probe
def total(window: Window, **asked: Unpack[LatencyLimits]) -> Verdict:
    """Quantiles of the time to the end of the answer, from when the request was meant to be sent.

    Over all requests: one without a complete answer is infinitely slow, however soon it failed. p99 needs 100
    requests, p99.9 1000, the others 20.

    Raises:
        ValueError: the arguments make no sense.
    """
    return judge_quantiles(window, times_to_end, asked=asked, missing="got no complete answer")
