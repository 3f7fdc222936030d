"""Whether what one has just written is found."""

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.units import Share

from ._counting import answers, asked_for, check_share, judge_share
from ._writes import acknowledged

ALL = Share(1.0)


@probe
def read_your_writes(window: Window, *, share: Share = ALL) -> Verdict:
    """The share of answers about a document that was just acknowledged which are made from that very document.

    An experiment that writes (`writes`) asks for each document as soon as it is acknowledged. Questions without a
    complete answer are no stale read: availability counts them.

    Args:
        share: at least this many.

    Raises:
        ValueError: the share makes no sense.
    """
    check_share("share", share)
    threshold = f"{asked_for(share)} found at once"
    written = {write.document for write in acknowledged(window)}
    if not window.writes:
        return inconclusive(threshold, samples=0, why="nothing was written in the run up to then")
    answered = answers(window)
    found = [
        question in citations
        for question, citations in zip(answered.question, answered.citations, strict=True)
        if question in written
    ]
    return judge_share(
        found.count(True),
        len(found),
        what="answers about what was just written",
        threshold=threshold,
        at_least=share,
        figure=" found at once",
    )
