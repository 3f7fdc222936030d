"""What became of the documents that were written while the run lasted."""

from collections.abc import Sequence

from brownout.evidence import Window, Write
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive

from ._counting import too_few

UNCOUNTED = "what the system holds of them was not counted at the end of the run"


def acknowledged(window: Window) -> Sequence[Write]:
    """Those of them of which the system said that they are stored."""
    return [write for write in window.writes if write.outcome == "acknowledged"]


def judge_copies(writes: Sequence[Write], amiss: Sequence[Write], *, threshold: str, what: str, said: str) -> Verdict:
    """Whether none of so many writes is amiss. One is enough to fail; to pass, all must have been counted.

    Args:
        writes: all of them.
        amiss: those of them that were counted and should not be as they are.
        threshold: for people.
        what: what they are, in the plural: `acknowledged writes`.
        said: what is wrong with those that are amiss: `lost`.
    """
    if amiss:
        figure = f"{len(amiss)} of {len(writes)} {what} {said}"
        why = f"first of all {amiss[0].document}, written at {amiss[0].intended:.1f} s"
        return Verdict("failed", figure, threshold, len(writes), why, value=float(len(amiss)), limit=0.0)
    if len(writes) < MIN_SAMPLES:
        return inconclusive(threshold, samples=len(writes), why=too_few(len(writes), what))
    if any(write.copies is None for write in writes):
        return inconclusive(threshold, samples=len(writes), why=UNCOUNTED)
    return Verdict("passed", f"none of {len(writes)} {what}", threshold, len(writes), value=0.0, limit=0.0)
