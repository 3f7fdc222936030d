"""Time per output token."""

from typing import Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe

from ._quantiles import LatencyLimits, judge_quantiles, times_per_token


@probe
def tpot(window: Window, **asked: Unpack[LatencyLimits]) -> Verdict:
    """Quantiles of the time per output token: the mean gap between the tokens of one answer, after the first.

    Over all streamed requests: one without a complete answer is infinitely slow, however fast its tokens came. Answers
    too short to have a gap are left out. p99 needs 100 requests, p99.9 1000, the others 20.

    Raises:
        ValueError: the arguments make no sense.
    """
    return judge_quantiles(window, times_per_token, asked=asked, missing="got no complete answer", what="streams")
