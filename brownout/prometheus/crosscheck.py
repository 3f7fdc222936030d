"""The same figures from the load's own evidence and from Prometheus, so that each can be held against the other.

Both count the same requests at different places: the load from when a question was meant to be sent to when its answer
was there, the system from when it arrived. Where they disagree, one of them does not see what users see.
"""

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress

from brownout.evidence.model import Sample
from brownout.evidence.recording import Recording
from brownout.evidence.window import Window
from brownout.experiment import Block, Experiment
from brownout.judge import windows
from brownout.prometheus.client import Prometheus, number

SOURCE = "cross-check"
"""Source of the samples that hold what Prometheus says; their metric is the figure."""
WHOLE = "whole run"
_BLOCKS: tuple[Block, ...] = ("steady-state before", "during", "after")
STRETCHES = (*_BLOCKS, WHOLE)
"""What is compared: the windows of the blocks of these names, and all of the run."""
SHORTEST = 5.0
"""Seconds of a stretch below which nothing is compared: a server that looks every second sees too few of them."""
MOST = 0.1
"""More than this share of the load's own figure, and the two disagree."""
FEWEST = 20
"""Requests in a stretch below which nothing is compared: one of them would be worth over 5 %."""
SMALLEST_SHARE = 0.01
"""Shares that differ by no more than this do not disagree: where next to nothing fails, a tenth of it is chance."""
_WINDOW = "$window"
_QUANTILE, _BOUNDS = "ttft-p95", "ttft-bounds"


@dataclass(frozen=True, slots=True)
class Compared:
    """One figure of one stretch, from both sides."""

    figure: str
    stretch: str
    ours: float | None
    """What the load saw; None where the stretch is too short, or too few requests were made."""
    theirs: float | None
    """What Prometheus says; None where it says nothing."""
    query: str
    between: tuple[float, float] | None = None
    """Of a quantile from a histogram: the bounds of its bucket, within which Prometheus can only guess."""

    @property
    def difference(self) -> float | None:
        """As a share of the load's own figure; infinite where that is 0 and the other is not.

        From the nearer bound of the bucket, where there is one: within it the two do not differ.
        """
        if self.ours is None or self.theirs is None:
            return None
        low, high = self.between or (self.theirs, self.theirs)
        gap = max(low - self.ours, self.ours - high, 0.0)
        return gap / self.ours if self.ours else (math.inf if gap else 0.0)

    @property
    def disagree(self) -> bool:
        """Whether the two differ by more than `MOST`."""
        if self.ours is None or self.theirs is None or self.difference is None:
            return False
        slight = self.figure == "error-share" and abs(self.theirs - self.ours) <= SMALLEST_SHARE
        return self.difference > MOST and not slight


def _rate(window: Window) -> float:
    return len(window.requests) / window.length


def _error_share(window: Window) -> float:
    return sum(outcome != "ok" for outcome in window.requests.outcome) / len(window.requests)


def _ttft_p95(window: Window) -> float | None:
    """Of the answers, as a histogram on the other side holds no others; by nearest rank."""
    requests = window.requests
    answered = [outcome == "ok" for outcome in requests.outcome]
    firsts, dues = compress(requests.first_token, answered), compress(requests.intended, answered)
    times = sorted(first - due for first, due in zip(firsts, dues, strict=True) if not math.isnan(first))
    return times[math.ceil(0.95 * len(times)) - 1] if times else None


FIGURES: Mapping[str, Callable[[Window], float | None]] = {
    "request-rate": _rate,
    "error-share": _error_share,
    _QUANTILE: _ttft_p95,
}
"""What can be compared, and how the load's own evidence gives it: per second, as 0..1, in seconds."""


async def ask_figures(
    client: Prometheus,
    figures: Mapping[str, str],
    experiment: Experiment,
    recording: Recording,
    *,
    started_at: float,
    end: float,
) -> Sequence[Sample]:
    """What Prometheus says of each figure in each stretch of the run, for the evidence; NaN where it says nothing.

    Args:
        client: of the server.
        figures: PromQL by figure, `$window` standing for the length of the stretch; see `Topology.cross_checks`.
        experiment: that ran.
        recording: what was recorded.
        started_at: Unix time of the run's zero, in seconds.
        end: of the run, in seconds of the run.

    Raises:
        NoAnswer: the server does not answer.
    """
    found = []
    for stretch, window in _stretches(experiment, recording, end=end).items():
        at = started_at + window.end
        for figure in (name for name in FIGURES if name in figures):
            query = figures[figure]
            asked = query.replace(_WINDOW, f"{window.length * 1000:.0f}ms")
            said = number(await asyncio.to_thread(client.ask, asked, at=at))
            labels = {"query": query, "stretch": stretch}
            if figure == _QUANTILE and said is not None and _BOUNDS in figures:
                buckets = await asyncio.to_thread(client.ask, figures[_BOUNDS], at=at)
                low, high = bucket_of(said, [float(dict(point.labels)["le"]) for point in buckets])
                labels |= {"low": f"{low:g}", "high": f"{high:g}"}
            value = math.nan if said is None else said
            found.append(Sample(window.end, SOURCE, figure, tuple(sorted(labels.items())), value))
    return found


def bucket_of(value: float, bounds: Sequence[float]) -> tuple[float, float]:
    """The bounds of the bucket that a quantile is from. Beyond the last finite one, Prometheus gives that one."""
    finite = sorted(bound for bound in bounds if math.isfinite(bound))
    above = [bound for bound in finite if bound >= value]
    below = [bound for bound in finite if bound < value]
    if not above or value == finite[-1]:
        return value, math.inf
    return (below[-1] if below else 0.0), above[0]


def compared(experiment: Experiment, recording: Recording, *, end: float) -> Sequence[Compared]:
    """Each figure of each stretch from both sides, by figure; nothing where Prometheus was not asked."""
    said = {
        (sample.metric, labels.get("stretch")): (sample.value, labels)
        for sample in recording.samples
        if sample.source == SOURCE and (labels := dict(sample.labels))
    }
    return [
        Compared(
            figure,
            stretch,
            ours(window) if len(window.requests) >= FEWEST and window.length >= SHORTEST else None,
            None if math.isnan(theirs) else theirs,
            labels.get("query", ""),
            (float(labels["low"]), float(labels["high"])) if "low" in labels else None,
        )
        for figure, ours in FIGURES.items()
        for stretch, window in _stretches(experiment, recording, end=end).items()
        if (figure, stretch) in said
        for theirs, labels in (said[figure, stretch],)
    ]


def _stretches(experiment: Experiment, recording: Recording, *, end: float) -> Mapping[str, Window]:
    """Those that there were, in the order of `STRETCHES`."""
    blocks = windows(experiment, recording, end=end)
    spans = [(name, one.start, one.end) for name in _BLOCKS if (one := blocks[name]) is not None]
    # Counted anew: a block leaves out the requests that met a fault under way, and Prometheus has seen them.
    found = [recording.window(*span) for span in (*spans, (WHOLE, 0.0, end))]
    return {window.name: window for window in found if window.length > 0}
