"""How long it took until the service levels held again, and went on holding."""

from bisect import bisect_left
from collections.abc import Sequence

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Duration, Latency, Share, format_seconds

from ._counting import asked_for, check_share, is_available, too_few
from ._quantiles import rank_of, ttft_of

STRETCH = 2.0
"""Seconds a sliding stretch lasts at least; longer where it takes longer to see `MIN_SAMPLES` requests."""


@probe
def recovered(
    window: Window, *, within: Duration, ttft_p95: Latency | None = None, availability: Share | None = None
) -> Verdict:
    """The moment after which the service levels hold in every sliding stretch to the window's end.

    A stretch is 2 s and at least 20 requests. Recovery is told by the last stretch that breaks a level, so that a
    moment of luck in between is not taken for it.

    Args:
        within: recovery takes at most so long, from the window's start: the moment the last fault was really off.
        ttft_p95: the 95th percentile of the time to first token is at most this.
        availability: the share of complete answers is at least this. State at least one of the two.

    Raises:
        ValueError: the arguments make no sense.
    """
    if ttft_p95 is None and availability is None:
        msg = "recovered needs ttft-p95 or availability, or both"
        raise ValueError(msg)
    if within <= 0 or (ttft_p95 is not None and ttft_p95 <= 0):
        msg = "within and ttft-p95 must be above 0"
        raise ValueError(msg)
    check_share("availability", availability)
    levels = [f"ttft p95 at most {format_seconds(ttft_p95)}"] if ttft_p95 is not None else []
    levels += [f"availability at least {asked_for(availability)}"] if availability is not None else []
    threshold = f"{' and '.join(levels)} within {format_seconds(within)}"

    requests = window.requests
    stretches = _stretches(window)
    if not stretches:
        why = too_few(len(requests), "requests")
        if len(requests) >= MIN_SAMPLES:
            why = f"the window holds no stretch of {format_seconds(STRETCH)} with {MIN_SAMPLES} requests"
        return inconclusive(threshold, samples=len(requests), why=why)
    served = _sums([is_available(request) for request in requests])
    in_time = _sums([ttft_p95 is None or ttft_of(request) <= ttft_p95 for request in requests])

    def breaks(start: int, end: int) -> bool:
        count = end - start
        enough = availability is None or (served[end] - served[start]) / count >= availability
        return not enough or in_time[end] - in_time[start] < rank_of(95, count)

    last = max((index for index, (start, end) in enumerate(stretches) if breaks(start, end)), default=None)
    if last is None:
        return Verdict("passed", "held from the start", threshold, len(requests), value=0.0, limit=within, unit="s")
    # The requests are in order, and stretch number `last` begins with request number `last`.
    after = requests[last].intended - window.start
    if last == len(stretches) - 1:
        if after <= within:
            why = "the levels were still broken so near the window's end that it cannot be told when they held again"
            return inconclusive(threshold, samples=len(requests), why=why)
        figure = f"not recovered after {format_seconds(window.length)}"
        return Verdict("failed", figure, threshold, len(requests), limit=within, unit="s")
    return Verdict(
        "passed" if after <= within else "failed",
        f"recovered after {format_seconds(after)}",
        threshold,
        len(requests),
        value=after,
        limit=within,
        unit="s",
    )


def _stretches(window: Window) -> Sequence[tuple[int, int]]:
    """For each request, the shortest stretch that begins with it and is long enough: its first and last-but-one index.

    Those that the window's end would cut are left out.
    """
    times = [request.intended for request in window.requests]
    found = []
    for start, at in enumerate(times):
        end = max(bisect_left(times, at + STRETCH), start + MIN_SAMPLES)
        if end > len(times) or at + STRETCH > window.end:
            break
        found.append((start, end))
    return found


def _sums(flags: Sequence[bool]) -> Sequence[int]:
    """Running totals: how many of the first n are true."""
    totals = [0]
    for flag in flags:
        totals.append(totals[-1] + flag)
    return totals
