"""When the service levels of an experiment broke under its fault, and when they held again. Pure.

As the probe `recovered` tells it: a level holds at a moment if it holds in the sliding stretch that begins there, of at
least two seconds and twenty requests, and in all that follow, so that a moment of luck is not taken for recovery.
"""

from array import array
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from brownout.evidence.model import Request
from brownout.experiment import Experiment
from brownout.report.budget import Objective, objective_of
from brownout.slo import FEWEST

STRETCH = 2.0
"""Seconds that a stretch lasts at least."""


@dataclass(frozen=True, slots=True)
class Levels:
    """What must hold; either may be unstated."""

    objective: Objective | None = None
    """The share of requests that must be good, and what a good one is."""
    ttft_p95: float | None = None
    """Seconds within which 95 % of the requests have their first token."""

    def __bool__(self) -> bool:
        return self.objective is not None or self.ttft_p95 is not None


@dataclass(frozen=True, slots=True)
class Spell:
    """How the levels fared in one part of a run. Times in seconds of the run."""

    seen: bool
    """Whether it holds a single stretch: of a part too short or too quiet nothing is known."""
    broken: float | None = None
    """When the first bad request of the first stretch that breaks a level was due; None where none does."""
    held: float | None = None
    """From when on they held to the part's end: its start where none broke; None where they were broken at its end."""


def levels_of(experiment: Experiment) -> Levels:
    """Those that the experiment states: its objective (see `objective_of`), and its steady state's `ttft: {p95: …}`."""
    stated = (one.arguments.get("p95") for one in experiment.steady_state if one.probe == "ttft")
    p95 = next((float(one) for one in stated if isinstance(one, int | float)), None)
    return Levels(objective_of(experiment), p95)


def spell(requests: Sequence[Request], levels: Levels, *, start: float, end: float) -> Spell:
    """How the levels fared from `start` to `end`.

    Args:
        requests: of the run, by intended send time; the stretches begin with them.
        levels: what must hold.
        start: of the part, in seconds of the run.
        end: of the part.
    """
    times = [one.intended for one in requests]
    first, last = bisect_left(times, start), bisect_left(times, end)
    times, requests = times[first:last], requests[first:last]
    objective, slowest = levels.objective, levels.ttft_p95
    is_good = [objective is None or objective.met_by(one) for one in requests]
    is_quick = [slowest is None or (one.ttft is not None and one.ttft <= slowest) for one in requests]
    good, quick = _counted(is_good), _counted(is_quick)
    needed = 0.0 if objective is None else float(objective.share)
    broken = held = None
    seen = False
    for begin, over in _stretches(times, end):
        asked = over - begin
        # In whole requests: a share is never broken by how it rounds.
        missing = asked * needed - (good[over] - good[begin]) > 1e-9
        late = slowest is not None and asked * 0.95 - (quick[over] - quick[begin]) > 1e-9
        if missing or late:
            if broken is None:
                broken = next(times[n] for n in range(begin, over) if not (is_good[n] and is_quick[n]))
            held = None
        elif held is None:
            held = times[begin] if seen else start
        seen = True
    return Spell(seen, broken, held)


def _counted(flags: Sequence[bool]) -> Sequence[int]:
    return array("I", accumulate(flags, initial=0))


def _stretches(times: Sequence[float], until: float) -> Iterator[tuple[int, int]]:
    """Every stretch that ends by then: the numbers of its first request, and of the first that is not in it."""
    over = 0
    for begin, at in enumerate(times):
        if at + STRETCH > until or begin + FEWEST > len(times):
            return
        while over < len(times) and times[over] < at + STRETCH:
            over += 1
        yield begin, max(over, begin + FEWEST)
