"""From which rung of the degradation ladder the answers came."""

from bisect import bisect_left
from collections.abc import Sequence

from brownout.evidence import Request, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Duration, Share, format_seconds, format_share

from ._counting import answers, asked_for, check_share, too_few

NEARLY_ALL = Share(0.99)


@probe
def degradation(
    window: Window,
    *,
    level: int | None = None,
    at_least: int | None = None,
    share: Share = NEARLY_ALL,
    within: Duration | None = None,
) -> Verdict:
    """The share of answers that say they came from a level; an answer that names none counts against it.

    Requests without an answer are `availability`'s business and count nowhere here.

    Args:
        level: answers of exactly this level count.
        at_least: answers of this level or a higher (worse) one count. State exactly one of the two.
        share: how many must.
        within: the share need not hold from the start, but from some moment no later than this until the window's end.

    Raises:
        ValueError: the arguments make no sense.
    """
    if (level is None) == (at_least is None):
        msg = "degradation needs exactly one of level and at-least"
        raise ValueError(msg)
    if (level or at_least or 0) < 0:
        msg = "a degradation level is 0 or above"
        raise ValueError(msg)
    check_share("share", share)
    if within is not None and within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    wanted = f"level {level}" if level is not None else f"level {at_least} or above"
    given = answers(window)
    fits = [
        answer.level is not None and (answer.level == level if at_least is None else answer.level >= at_least)
        for answer in given
    ]
    if within is None:
        return _throughout(window, given, fits, wanted=wanted, share=share)
    return _settled(window, given, fits, wanted=wanted, share=share, within=within)


def _throughout(
    window: Window, given: Sequence[Request], fits: Sequence[bool], *, wanted: str, share: Share
) -> Verdict:
    threshold = f"{asked_for(share)} at {wanted}"
    if len(given) < MIN_SAMPLES:
        return inconclusive(threshold, samples=len(given), why=too_few(len(given), "answers"))
    reached = sum(fits) / len(given)
    return Verdict(
        "passed" if reached >= share else "failed",
        f"{format_share(reached)} at {wanted}{_last_other(window, given, fits)}",
        threshold,
        len(given),
        value=reached,
        limit=share,
        unit="share",
    )


def _settled(
    window: Window, given: Sequence[Request], fits: Sequence[bool], *, wanted: str, share: Share, within: Duration
) -> Verdict:
    """Look for the earliest moment up to `within` from which on the share holds."""
    threshold = f"{asked_for(share)} at {wanted} within {format_seconds(within)}"
    deadline = window.start + within
    times = [answer.intended for answer in given]
    moments = sorted({window.start, *(at for at in times if at <= deadline), deadline})
    fitting = [0] * (len(given) + 1)
    for index in range(len(given) - 1, -1, -1):
        fitting[index] = fitting[index + 1] + fits[index]
    for moment in moments:
        index = bisect_left(times, moment)
        rest = len(given) - index
        if rest >= MIN_SAMPLES and fitting[index] / rest >= share:
            after = moment - window.start
            return Verdict(
                "passed",
                f"{asked_for(share)} at {wanted} from {format_seconds(after)} on{_last_other(window, given, fits)}",
                threshold,
                rest,
                value=after,
                limit=within,
                unit="s",
            )
    first = bisect_left(times, deadline)
    rest = len(given) - first
    if rest < MIN_SAMPLES:
        why = f"{too_few(rest, 'answers')} after the first {format_seconds(within)}"
        return inconclusive(threshold, samples=rest, why=why)
    return Verdict(
        "failed",
        f"{format_share(fitting[first] / rest)} at {wanted} after {format_seconds(within)}"
        f"{_last_other(window, given, fits)}",
        threshold,
        rest,
        value=max(answer.intended for answer, fit in zip(given, fits, strict=True) if not fit) - window.start,
        limit=within,
        unit="s",
    )


def _last_other(window: Window, given: Sequence[Request], fits: Sequence[bool]) -> str:
    others = [answer for answer, fit in zip(given, fits, strict=True) if not fit]
    if not others:
        return ""
    last = others[-1]
    said = "naming no level" if last.level is None else f"of level {last.level}"
    return f"; last answer {said} at {format_seconds(last.intended - window.start)}"
