"""How many requests were served."""

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Share, format_share

from ._counting import answers, asked_for, check_share, too_few


@probe
def availability(window: Window, *, at_least: Share | None = None, below: Share | None = None) -> Verdict:
    """The share of requests that got a complete answer, degraded or not.

    Everything else counts against it: errors, rate limits, timeouts, cut streams, refused connections, and in a live
    window the requests that have waited too long.

    Args:
        at_least: passed when the share is this or more.
        below: passed when the share is less; for abort conditions. State exactly one of the two.

    Raises:
        ValueError: the arguments make no sense.
    """
    if (at_least is None) == (below is None):
        msg = "availability needs exactly one of at-least and below"
        raise ValueError(msg)
    check_share("at-least", at_least)
    check_share("below", below)
    threshold = f"at least {asked_for(at_least)}" if at_least is not None else f"below {asked_for(below or Share(0.0))}"
    asked = len(window.requests)
    if asked < MIN_SAMPLES:
        return inconclusive(threshold, samples=asked, why=too_few(asked, "requests"))
    served = len(answers(window))
    share = served / asked
    holds = share >= at_least if at_least is not None else share < (below or 0.0)
    return Verdict(
        "passed" if holds else "failed",
        format_share(share),
        threshold,
        asked,
        "" if served == asked else f"{asked - served} of {asked} requests got no complete answer",
        value=share,
        limit=at_least if at_least is not None else below,
        unit="share",
    )
