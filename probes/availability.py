"""How many requests were served."""

from dataclasses import replace
from typing import Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Share

from ._counting import asked_for, check_limits, check_share, judge_share
from ._whose import Whose, chosen


@probe
def availability(
    window: Window, *, at_least: Share | None = None, below: Share | None = None, **whose: Unpack[Whose]
) -> Verdict:
    """The share of requests that got a complete answer, degraded or not.

    Everything else counts against it: errors, rate limits, timeouts, cut streams, refused connections, and in a live
    window the requests that have waited too long.

    Args:
        at_least: passed when the share is this or more.
        below: passed when the share is less; for abort conditions. State exactly one of the two.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    check_limits("availability", at_least=at_least, below=below)
    check_share("at-least", at_least)
    check_share("below", below)
    least = at_least if at_least is not None else below
    asked, served = len(window.requests), window.requests.outcome.count("ok")
    verdict = judge_share(
        served,
        asked,
        what="requests",
        threshold=f"{'below' if at_least is None else 'at least'} {asked_for(least or Share(0.0))}",
        at_least=least,
        why="" if served == asked else f"{asked - served} of {asked} requests got no complete answer",
    )
    if at_least is None and verdict.outcome != "inconclusive":
        return replace(verdict, outcome="passed" if verdict.outcome == "failed" else "failed")
    return verdict
