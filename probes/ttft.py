"""Time to first token."""

from typing import Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe

from ._quantiles import LatencyLimits, judge_quantiles, times_to_first_token


@probe
def ttft(window: Window, **asked: Unpack[LatencyLimits]) -> Verdict:
    """Quantiles of the time to first token, from when the request was meant to be sent.

    Over all requests: one that never got a token is infinitely slow. p99 needs 100 requests, p99.9
    1000, the others 20.

    Raises:
        ValueError: the arguments make no sense.
    """
    return judge_quantiles(window, times_to_first_token, asked=asked, missing="never got a token")
