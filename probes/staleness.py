"""How old the data behind the answers is."""

import math
from collections.abc import Sequence
from typing import Unpack

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.statistics import share_interval
from brownout.units import Duration, Latency, Share, format_seconds, format_share

from ._counting import answers, asked_for, check_share, too_few
from ._whose import Whose, chosen

ALL = Share(1.0)
SLACK = Latency(1.0)


@probe
def staleness(
    window: Window,
    *,
    at_most: Duration | None = None,
    monotone: bool = False,
    share: Share = ALL,
    slack: Latency = SLACK,
    **whose: Unpack[Whose],
) -> Verdict:
    """The age of what answers were made from is bounded, or never goes back.

    The age is what an answer says of the cached part in it; one without a cached part is of the moment. An answer that
    used a cache and names no age is older than any bound.

    Args:
        at_most: no answer is made from older data than this.
        monotone: who has seen an answer to a question is never given an older one to it afterwards. State exactly one.
        share: how many answers must be within the bound; goes with at-most.
        slack: by how much an answer may be older than the one before it; ages are told in whole seconds by some.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    if (at_most is None) != monotone:
        msg = "staleness needs exactly one of at-most and monotone"
        raise ValueError(msg)
    if (at_most is not None and at_most <= 0) or (monotone and share != ALL):
        msg = "at-most must be above 0; share goes with at-most"
        raise ValueError(msg)
    check_share("share", share)
    given = answers(window)
    if given and all(used is None for used in given.cache_used) and all(map(math.isnan, given.cache_age)):
        asked = f"at most {format_seconds(at_most)} old" if at_most is not None else "never back"
        return inconclusive(asked, samples=len(given), why="no answer says whether it was made from a cache")
    if at_most is None:
        return _monotone(given, slack)
    ages = _ages(given)
    fits = sum(map(at_most.__ge__, ages))
    threshold = f"{asked_for(share)} at most {format_seconds(at_most)} old"
    # One answer refutes "all of them", however few there are.
    if len(ages) < MIN_SAMPLES and not (share == ALL and fits < len(ages)):
        return inconclusive(threshold, samples=len(ages), why=too_few(len(ages), "answers"))
    oldest = max(ages)
    low, high = share_interval(fits, len(ages))
    return Verdict(
        "passed" if fits / len(ages) >= share else "failed",
        f"{format_share(fits / len(ages))} within it, the oldest {_told(oldest)}",
        threshold,
        len(ages),
        f"{len(ages) - ages.count(0.0)} of {len(ages)} answers from a cache",
        value=fits / len(ages),
        limit=share,
        unit="share",
        low=low,
        high=high,
    )


def _ages(given: Requests) -> Sequence[float]:
    return [
        age if age == age else math.inf if cached else 0.0  # noqa: PLR0124 - NaN is what no answer said
        for age, cached in zip(given.cache_age, given.cache_used, strict=True)
    ]


def _monotone(given: Requests, slack: Latency) -> Verdict:
    """Compare each answer with the newest that was over before it was asked."""
    threshold = f"never more than {format_seconds(slack)} older than before"
    rows = zip(given.tenant, given.question, given.sent, given.done, _ages(given), strict=True)
    histories: dict[tuple[str, str], list[tuple[float, float, float]]] = {}
    for tenant, question, sent, done, age in rows:
        histories.setdefault((tenant, question), []).append((sent, done, done - age))
    compared, worst = 0, 0.0
    for history in histories.values():
        if len(history) < 2:
            continue
        # The time of the data: of a fresh answer at least when it was asked for.
        ended = sorted((done, min(sent, of)) for sent, done, of in history)
        newest, over = -math.inf, 0
        for sent, _, of in sorted(history):
            while over < len(ended) and ended[over][0] <= sent:
                newest = max(newest, ended[over][1])
                over += 1
            # What was of unknown age can be compared with nothing.
            if newest > -math.inf:
                compared += 1
                worst = max(worst, newest - of)
    # One step back refutes it, however few answers there are.
    if worst <= slack and compared < MIN_SAMPLES:
        return inconclusive(threshold, samples=compared, why=too_few(compared, "answers to a question asked before"))
    return Verdict(
        "passed" if worst <= slack else "failed",
        f"at most {_told(max(worst, 0.0))} back" if worst > 0 else "never back",
        threshold,
        compared,
        value=worst if math.isfinite(worst) else None,
        limit=slack,
        unit="s",
    )


def _told(seconds: float) -> str:
    return format_seconds(seconds) if math.isfinite(seconds) else "of unknown age"
