"""Whether degraded answers say that they are degraded."""

from collections.abc import Sequence

from brownout.evidence import Request, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.units import Share, format_share

from ._counting import answers, asked_for, check_share, too_few

ALL = Share(1.0)
FRESH = frozenset({"dense+keyword", "dense"})
"""What `retrieval` says of an undegraded answer."""
POOR = frozenset({"low", "none"})
"""What `retrieval_quality` cannot say of an undegraded answer."""


@probe
def disclosed(window: Window, *, share: Share = ALL, store: str = "vector-db") -> Verdict:
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
    check_share("share", share)
    threshold = f"{asked_for(share)} of degraded answers disclosed"
    given = answers(window)
    if not given:
        return inconclusive(threshold, samples=0, why="there were no answers")
    contradictions = _Contradictions(window, given, store)
    silent = [why for answer in given if (why := contradictions.of(answer))]
    saying = sum(1 for answer in given if answer.level and answer.warnings)
    degraded = saying + len(silent)
    if not degraded:
        return inconclusive(threshold, samples=len(given), why="nothing was degraded, so nothing had to be disclosed")
    # One silent answer refutes "all of them", however few there are.
    if degraded < MIN_SAMPLES and not (silent and share == ALL):
        return inconclusive(threshold, samples=degraded, why=too_few(degraded, "degraded answers"))
    reached = saying / degraded
    return Verdict(
        "passed" if reached >= share else "failed",
        f"{format_share(reached)} of {degraded} degraded answers",
        threshold,
        degraded,
        _counted(silent),
        value=reached,
        limit=share,
        unit="share",
    )


class _Contradictions:
    """What in a window contradicts an answer."""

    def __init__(self, window: Window, given: Sequence[Request], store: str) -> None:
        self._store = store
        self._retrieval_is_stated = any(answer.retrieval is not None for answer in given)
        # A stack that never counts calls to such a dependency is not accused of making none.
        self._calls_are_counted = any(store in answer.attempts for answer in given)
        self._open = _open_spans(window, store)

    def of(self, answer: Request) -> str | None:
        """Why the answer counts as silently degraded; None where it does not."""
        if answer.level is None:
            return "named no level"
        if answer.level > 0:
            return None if answer.warnings else "had a level above 0 and no warning"
        ended = answer.sent if answer.done is None else answer.done
        contradictions = (
            (answer.retrieval is None and self._retrieval_is_stated, "and named no retrieval"),
            (answer.retrieval not in (None, *FRESH), f"with {answer.retrieval!r} retrieval"),
            (answer.retrieval_quality in POOR, f"with retrieval quality {answer.retrieval_quality!r}"),
            (self._calls_are_counted and not answer.attempts.get(self._store), f"without a call to {self._store}"),
            (
                any(since <= answer.sent and ended <= until for since, until in self._open),
                f"while the breaker of {self._store} was open",
            ),
        )
        return next((f"claimed level 0 {text}" for holds, text in contradictions if holds), None)


def _open_spans(window: Window, dependency: str) -> Sequence[tuple[float, float]]:
    """When the breaker was open, from the first transition on; the last span lasts until it is known to."""
    changes = [change for change in window.history if change.dependency == dependency]
    ends = [*(change.at for change in changes[1:]), window.end]
    return [(change.at, end) for change, end in zip(changes, ends, strict=False) if change.new == "open"]


def _counted(reasons: Sequence[str]) -> str:
    """`12 answers named no level; 3 answers ...`, most frequent first."""
    counts = {reason: reasons.count(reason) for reason in dict.fromkeys(reasons)}
    most = sorted(counts, key=lambda reason: -counts[reason])
    return "; ".join(f"{counts[reason]} answer{'s' if counts[reason] > 1 else ''} {reason}" for reason in most)
