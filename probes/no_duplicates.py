"""Whether what was written is there once."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe

from ._writes import judge_copies

THRESHOLD = "no write stored twice"


@probe
def no_duplicates(window: Window) -> Verdict:
    """No document that was written since the run began is there more than once when the run ends.

    One that is there twice is enough to fail, whether it was acknowledged or not: what was sent again after an answer
    that got lost must not be stored again. Needs an experiment that writes (`writes`), and what it wrote is counted
    once, when the load has ended.
    """
    twice = [write for write in window.writes if write.copies is not None and write.copies > 1]
    return judge_copies(window.writes, twice, threshold=THRESHOLD, what="writes", said="stored more than once")
