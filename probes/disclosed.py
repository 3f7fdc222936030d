"""Whether degraded answers say that they are degraded."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Unpack

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.statistics import share_interval
from brownout.system import DependencyName
from brownout.units import Share, format_share

from ._counting import answers, asked_for, check_share, kinds_of_attempts, too_few
from ._whose import Whose, chosen

ALL = Share(1.0)
STORE = DependencyName("vector-db")
FRESH = frozenset({"dense+keyword", "dense"})
"""What `retrieval` says of an undegraded answer."""
POOR = frozenset({"low", "none"})
"""What `retrieval_quality` cannot say of an undegraded answer."""


@probe
def disclosed(window: Window, *, share: Share = ALL, store: DependencyName = STORE, **whose: Unpack[Whose]) -> Verdict:
    """The share of degraded answers that say so: a level above 0, and at least one warning.

    An answer is known to be degraded when it says so, and also when it names no level, or claims level 0 while
    something else contradicts it: its own retrieval or retrieval quality, or that the store behind fresh retrieval was
    not called for it or could not be. Those last are silent, which is the worst that an answer can be.

    Args:
        share: how many of the degraded answers must say so.
        store: the dependency that fresh retrieval always calls, by its name in the answers' attempts and among the
            breakers.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    check_share("share", share)
    threshold = f"{asked_for(share)} of degraded answers disclosed"
    given = answers(window)
    if not given:
        return inconclusive(threshold, samples=0, why="there were no answers")
    levels = given.level
    said = Counter(zip(levels, map(bool, given.warnings), strict=True))
    saying = sum(times for (level, warned), times in said.items() if level and warned)
    silent: Counter[str] = Counter()
    for (level, warned), times in said.items():
        if level is None or (level != 0 and not warned):
            silent["named no level" if level is None else "had a level above 0 and no warning"] += times
    silent.update(_contradictions(window, given.where([level == 0 for level in levels]), given, store))
    degraded = saying + silent.total()
    if not degraded:
        return inconclusive(threshold, samples=len(given), why="nothing was degraded, so nothing had to be disclosed")
    # One silent answer refutes "all of them", however few there are.
    if degraded < MIN_SAMPLES and not (silent and share == ALL):
        return inconclusive(threshold, samples=degraded, why=too_few(degraded, "degraded answers"))
    reached = saying / degraded
    low, high = share_interval(saying, degraded)
    return Verdict(
        "passed" if reached >= share else "failed",
        f"{format_share(reached)} of {degraded} degraded answers",
        threshold,
        degraded,
        "; ".join(f"{count} answer{'s' if count > 1 else ''} {reason}" for reason, count in silent.most_common()),
        value=reached,
        limit=share,
        unit="share",
        low=low,
        high=high,
    )


def _contradictions(window: Window, fresh: Requests, given: Requests, store: str) -> Iterator[str]:
    """Why an answer that claims level 0 counts as silently degraded, for each that does."""
    stated = set(given.retrieval) != {None}
    # A stack that never counts calls to such a dependency is not accused of making none.
    parts = [part for part in (window, window.baseline) if part is not None]
    counted = any(store in attempts for part in parts for attempts in kinds_of_attempts(part.requests))
    spans = _open_spans(window, store)
    for retrieval, quality, attempts, sent, done in zip(
        fresh.retrieval, fresh.retrieval_quality, fresh.attempts, fresh.sent, fresh.done, strict=True
    ):
        if retrieval is None and stated:
            yield "claimed level 0 and named no retrieval"
        elif retrieval is not None and retrieval not in FRESH:
            yield f"claimed level 0 with {retrieval!r} retrieval"
        elif quality in POOR:
            yield f"claimed level 0 with retrieval quality {quality!r}"
        elif counted and not attempts.get(store):
            yield f"claimed level 0 without a call to {store}"
        elif any(since <= sent and (sent if math.isnan(done) else done) <= until for since, until in spans):
            yield f"claimed level 0 while the breaker of {store} was open"


def _open_spans(window: Window, dependency: str) -> Sequence[tuple[float, float]]:
    """When the breaker was open, from the first transition on; the last span lasts until it is known to."""
    changes = [change for change in window.history if change.dependency == dependency]
    ends = [*(change.at for change in changes[1:]), window.end]
    return [(change.at, end) for change, end in zip(changes, ends, strict=False) if change.new == "open"]
