"""What the answers cost."""

import math
from typing import Unpack

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.statistics import mean_interval

from ._counting import answers, too_few
from ._whose import Whose, chosen


@probe
def cost(window: Window, *, at_most: float, **whose: Unpack[Whose]) -> Verdict:
    """The mean cost of a complete answer in US dollars, as the answers say.

    An answer that says no cost makes the mean a lower bound: it can then be too high, but never low enough.

    Args:
        at_most: US dollars, such as 0.005.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    if at_most <= 0:
        msg = "at-most must be above 0"
        raise ValueError(msg)
    threshold = f"at most ${at_most:g} per answer"
    costs = answers(window).cost
    said = costs if not any(map(math.isnan, costs)) else [one for one in costs if not math.isnan(one)]
    if len(said) < MIN_SAMPLES:
        return inconclusive(threshold, samples=len(said), why=too_few(len(said), "answers that say their cost"))
    spent, silent = math.fsum(said), len(costs) - len(said)
    mean = spent / len(costs)
    if silent and mean <= at_most:
        why = f"{silent} of {len(costs)} answers say no cost"
        return inconclusive(threshold, samples=len(said), why=why)
    low, high = mean_interval(said)
    return Verdict(
        "passed" if mean <= at_most else "failed",
        f"${mean:.3g} per answer",
        threshold,
        len(costs),
        f"${spent:.4g} in all, ${max(said):.3g} the dearest",
        value=mean,
        limit=at_most,
        unit="USD",
        low=low,
        high=high,
    )
