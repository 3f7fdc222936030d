"""Throughput that users have something of."""

import math
from typing import Unpack

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.statistics import share_interval
from brownout.units import Latency, Rate, Share, format_seconds

from ._counting import asked_for, check_limits, check_share, judge_share, too_few
from ._quantiles import times_to_end, times_to_first_token
from ._whose import Whose, chosen


@probe
def goodput(
    window: Window,
    *,
    ttft: Latency | None = None,
    tpot: Latency | None = None,
    total: Latency | None = None,
    at_least: Rate | None = None,
    share: Share | None = None,
    **whose: Unpack[Whose],
) -> Verdict:
    """Requests with a complete answer in time, per second or as a share of all: every stated latency must hold for one.

    Args:
        ttft: the first token came within this time.
        tpot: the time per output token was at most this; an answer of one token has none, and fits.
        total: the answer was complete within this time. State at least one of the three.
        at_least: so many good answers per second. Less than the offered load, or nothing can reach it.
        share: so many of all requests. State exactly one of the two.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    check_limits("goodput", at_least=at_least, share=share)
    check_share("share", share)
    stated = {"ttft": ttft, "tpot": tpot, "total": total}
    limits = {name: limit for name, limit in stated.items() if limit is not None}
    if not limits or any(limit <= 0 for limit in limits.values()):
        msg = "goodput needs ttft, tpot or total, above 0"
        raise ValueError(msg)
    in_time = ", ".join(f"{name} at most {format_seconds(limit)}" for name, limit in limits.items())
    asked, good = len(window.requests), _good(window.requests, ttft=ttft, tpot=tpot, total=total)
    if share is not None:
        return judge_share(
            good,
            asked,
            what="requests",
            threshold=f"{asked_for(share)} with {in_time}",
            at_least=share,
            why=f"{good / window.length:.3g} good answers per second" if window.length else "",
        )
    least = at_least or Rate(0.0)
    threshold = f"{least:g}/s with {in_time}"
    if asked < MIN_SAMPLES or window.length <= 0:
        return inconclusive(threshold, samples=asked, why=too_few(asked, "requests"))
    rate = good / window.length
    low, high = (end * asked / window.length for end in share_interval(good, asked))
    return Verdict(
        "passed" if rate >= least else "failed",
        f"{rate:.3g}/s",
        threshold,
        asked,
        f"{good} of {asked} requests",
        value=rate,
        limit=least,
        unit="/s",
        low=low,
        high=high,
    )


def _good(requests: Requests, *, ttft: float | None, tpot: float | None, total: float | None) -> int:
    soon, fast, done = (math.inf if limit is None else limit for limit in (ttft, tpot, total))
    return sum(
        outcome == "ok" and first <= soon and end <= done and not gap > fast
        for outcome, first, end, gap in zip(
            requests.outcome,
            times_to_first_token(requests),
            times_to_end(requests),
            requests.tpot,
            strict=True,
        )
    )
