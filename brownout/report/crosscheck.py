"""The figures of the load beside those of Prometheus, for the report."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brownout.evidence.recording import Recording
from brownout.experiment import Experiment
from brownout.prometheus.crosscheck import MOST, STRETCHES, Compared, compared
from brownout.report.figures import AFTER, BEFORE, BROKEN, WHOLE
from brownout.units import format_seconds, format_share

_TITLES = {
    "request-rate": "Requests per second",
    "error-share": "Not answered",
    "ttft-p95": "Time to first token, p95",
}
_SHOWN: Mapping[str, Callable[[float], str]] = {
    "request-rate": lambda value: f"{value:.3g}/s",
    "error-share": format_share,
    "ttft-p95": format_seconds,
}
_PARTS = dict(zip(STRETCHES, (BEFORE, BROKEN, AFTER, WHOLE), strict=True))


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of one part of the run."""

    part: str
    ours: str
    theirs: str
    between: str
    """`200 ms to 300 ms`: the bucket, where Prometheus knows no more than that."""
    verdict: str
    """`agree`, `disagree` or why that cannot be said."""
    difference: str
    disagree: bool


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """All that was compared."""

    server: str
    lines: Mapping[str, Sequence[Line]]
    """By figure."""
    queries: Mapping[str, str]
    """PromQL by figure."""

    @property
    def disagreeing(self) -> Sequence[str]:
        """Where the two differ: `Not answered, while broken`."""
        return [
            f"{title}, {line.part[0].lower()}{line.part[1:]}: {line.ours} seen by the load, {line.theirs} by Prometheus"
            for title, lines in self.lines.items()
            for line in lines
            if line.disagree
        ]

    @property
    def silent(self) -> bool:
        """Whether Prometheus knew none of the figures."""
        return all(line.theirs == "–" for lines in self.lines.values() for line in lines)

    @property
    def warning(self) -> str:
        """What its reader must know first; empty where all is well."""
        if self.silent:
            return "Prometheus knew none of these figures: does it scrape this target, and often enough?"
        if not self.disagreeing:
            return ""
        return f"The load and Prometheus differ by more than {MOST * 100:.0f} %. {'; '.join(self.disagreeing)}."


def cross_check(experiment: Experiment, recording: Recording, *, server: str, end: float) -> CrossCheck | None:
    """What the load saw beside what Prometheus says; None where it was not asked.

    Args:
        experiment: that ran, scaled.
        recording: what was recorded.
        server: which Prometheus, for people.
        end: of the run, in seconds of the run.
    """
    found = compared(experiment, recording, end=end)
    if not found:
        return None
    lines: dict[str, list[Line]] = {}
    for one in found:
        lines.setdefault(_TITLES[one.figure], []).append(_line(one))
    return CrossCheck(server, lines, {_TITLES[one.figure]: one.query for one in found})


def _line(one: Compared) -> Line:
    shown = _SHOWN[one.figure]
    if one.ours is None:
        verdict = "too short, or too few requests, to tell"
    elif one.theirs is None:
        verdict = "Prometheus does not know"
    else:
        verdict = "disagree" if one.disagree else "agree"
    difference = ""
    if one.difference:
        difference = f"{one.difference * 100:.0f} % apart" if one.ours else "there, none here"
    return Line(
        _PARTS[one.stretch],
        "–" if one.ours is None else shown(one.ours),
        "–" if one.theirs is None else shown(one.theirs),
        _between(one, shown),
        verdict,
        difference,
        one.disagree,
    )


def _between(one: Compared, shown: Callable[[float], str]) -> str:
    if one.between is None:
        return ""
    low, high = one.between
    return f"{shown(low)} or more" if math.isinf(high) else f"{shown(low)} to {shown(high)}"
