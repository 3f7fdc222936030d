"""A share that holds throughout a window, or from some moment on until its end."""

from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import accumulate

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive
from brownout.units import Duration, Share, format_seconds, format_share

from ._counting import asked_for, judge_share, too_few

Last = Callable[[int], str]
"""Tells of the observation of that number, the last one that does not fit: `last answer of level 1 at 4 s`."""


def judge_settling(
    window: Window,
    times: Sequence[float],
    fits: Sequence[bool],
    *,
    share: Share,
    within: Duration | None,
    what: str,
    fitting: str,
    last: Last,
) -> Verdict:
    """Whether so many observations fit; where `within` is stated, from some moment no later than that on.

    Args:
        window: from whose start `within` counts.
        times: of the observations, in order.
        fits: whether each of them is as it should be.
        share: how many must be.
        within: see above.
        what: what they are, in the plural: `answers`.
        fitting: what those that fit have in common: `at level 0`.
        last: see `Last`.
    """
    unfit = next((number for number in range(len(fits) - 1, -1, -1) if not fits[number]), None)
    tail = "" if unfit is None else f"; {last(unfit)}"
    threshold = f"{asked_for(share)} {fitting}"
    if within is None:
        return judge_share(
            fits.count(True), len(fits), what=what, threshold=threshold, at_least=share, figure=f" {fitting}{tail}"
        )
    threshold += f" within {format_seconds(within)}"
    count, fit = len(times), fits.count(True)
    deadline = bisect_left(times, window.start + within)
    # How many of those before each do not count any more once it is the first.
    gone = [0, *accumulate(fits[:deadline])]

    def holds(first: int) -> bool:
        rest = count - first
        begins = first in (0, deadline) or times[first - 1] < times[first]
        return begins and rest >= MIN_SAMPLES and (fit - gone[first]) / rest >= share

    settled = next((first for first in range(deadline + 1) if holds(first)), None)
    if settled is not None:
        since = window.start if settled == 0 else times[settled] if settled < deadline else window.start + within
        return Verdict(
            "passed",
            f"{asked_for(share)} {fitting} from {format_seconds(since - window.start)} on{tail}",
            threshold,
            count - settled,
            value=since - window.start,
            limit=within,
            unit="s",
        )
    rest = count - deadline
    if rest < MIN_SAMPLES:
        why = f"{too_few(rest, what)} after the first {format_seconds(within)}"
        return inconclusive(threshold, samples=rest, why=why)
    return Verdict(
        "failed",
        f"{format_share((fit - gone[deadline]) / rest)} {fitting} after {format_seconds(within)}{tail}",
        threshold,
        rest,
        value=(times[unfit] if unfit is not None else window.end) - window.start,
        limit=within,
        unit="s",
    )
