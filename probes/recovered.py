"""How long it took until the service levels held again, and went on holding."""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Unpack

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Duration, Latency, Share, format_seconds

from ._counting import asked_for, check_share, served, too_few
from ._quantiles import NEVER, times_to_first_token
from ._whose import Whose, chosen

STRETCH = 2.0
"""Seconds a sliding stretch lasts at least; longer where it takes longer to see `MIN_SAMPLES` requests."""


@probe
def recovered(
    window: Window,
    *,
    within: Duration,
    ttft_p95: Latency | None = None,
    availability: Share | None = None,
    for_: Duration | None = None,
    **whose: Unpack[Whose],
) -> Verdict:
    """The moment after which the service levels hold in every sliding stretch to the window's end.

    A stretch is 2 s and at least 20 requests. Recovery is told by the last stretch that breaks a level, so that a
    moment of luck in between is not taken for it.

    Args:
        within: recovery takes at most so long, from the window's start: the moment the last fault was really off.
        ttft_p95: the 95th percentile of the time to first token is at most this.
        availability: the share of complete answers is at least this. State at least one of the two.
        for_: the levels must have held for so long when the window ends; a shorter look back proves no recovery.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    if ttft_p95 is None and availability is None:
        msg = "recovered needs ttft-p95 or availability, or both"
        raise ValueError(msg)
    if any(limit is not None and limit <= 0 for limit in (within, ttft_p95, for_)):
        msg = "within, ttft-p95 and for must be above 0"
        raise ValueError(msg)
    check_share("availability", availability)
    levels = [f"ttft p95 at most {format_seconds(ttft_p95)}"] if ttft_p95 is not None else []
    levels += [f"availability at least {asked_for(availability)}"] if availability is not None else []
    threshold = f"{' and '.join(levels)} within {format_seconds(within)}"
    threshold += f", for {format_seconds(for_)}" if for_ is not None else ""

    requests = window.requests
    times = requests.intended
    stretches = _stretches(times, window.end)
    if stretches < 1:
        why = too_few(len(requests), "requests")
        if len(requests) >= MIN_SAMPLES:
            why = f"the window holds no stretch of {format_seconds(STRETCH)} with {MIN_SAMPLES} requests"
        return inconclusive(threshold, samples=len(requests), why=why)
    slowest = ttft_p95 if ttft_p95 is not None else NEVER
    answered = array("I", accumulate(served(requests), initial=0))
    in_time = array("I", accumulate([one <= slowest for one in times_to_first_token(requests)], initial=0))

    def breaks(start: int, end: int) -> bool:
        count = end - start
        enough = availability is None or (answered[end] - answered[start]) / count >= availability
        # By nearest rank, in integers, so never one off.
        return not enough or in_time[end] - in_time[start] < -(-95 * count // 100)

    # From the end, since it is the last one that counts; stretch number n begins with request number n.
    last = next((number for number, end in _ends(times, stretches) if breaks(number, end)), None)
    after = 0.0 if last is None else times[last] - window.start
    if last == stretches - 1:
        if after <= within:
            why = "the levels were still broken so near the window's end that it cannot be told when they held again"
            return inconclusive(threshold, samples=len(requests), why=why)
        figure = f"not recovered after {format_seconds(window.length)}"
        return Verdict("failed", figure, threshold, len(requests), limit=within, unit="s")
    held = window.length - after
    if after <= within and for_ is not None and held < for_:
        why = f"the levels had held for only {format_seconds(held)} when the window ended"
        return inconclusive(threshold, samples=len(requests), why=why)
    return Verdict(
        "passed" if after <= within else "failed",
        "held from the start" if last is None else f"recovered after {format_seconds(after)}",
        threshold,
        len(requests),
        "" if last is None else f"the levels then held for {format_seconds(held)}",
        value=after,
        limit=within,
        unit="s",
    )


def _stretches(times: Sequence[float], until: float) -> int:
    """How many stretches the window holds: the first begins with the first request, and so on. One that the window's
    end would cut is none."""
    whole = bisect_left(times, True, key=lambda at: at + STRETCH > until)
    return max(min(whole, len(times) - MIN_SAMPLES + 1), 0)


def _ends(times: Sequence[float], stretches: int) -> Iterator[tuple[int, int]]:
    """Every stretch, from the last to the first, with the number of the first request that is not in it any more."""
    end = len(times)
    for start in range(stretches - 1, -1, -1):
        over = times[start] + STRETCH
        while times[end - 1] >= over:
            end -= 1
        yield start, max(end, start + MIN_SAMPLES)
