"""Whether what was acknowledged is kept."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe

from ._writes import acknowledged, judge_copies

THRESHOLD = "no acknowledged write lost"


@probe
def no_loss(window: Window) -> Verdict:
    """Every document that the system acknowledged since the run began is there when the run ends.

    One that is missing is enough to fail. Needs an experiment that writes (`writes`), and what it wrote is counted when
    the load has ended. What was refused, or of which nothing was heard, may be there or not.
    """
    writes = acknowledged(window)
    lost = [write for write in writes if write.copies == 0]
    return judge_copies(writes, lost, threshold=THRESHOLD, what="acknowledged writes", said="lost")
