"""The numbers that the report shows, from what was recorded. Nothing here judges; that is the probes' business."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from brownout.evidence.model import FaultSpan, Request

LEVELS = 5
"""Degradation levels 0 to 4."""
UNSTATED = LEVELS
"""Index of the answers that disclosed no level."""
WHOLE, BEFORE, BROKEN, AFTER = "Whole run", "Before", "While broken", "After the heal"
"""Names of the parts of a run."""
_STEPS = (0.1, 0.25, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600)


def quantile(values: Iterable[float], q: float) -> float | None:
    """The nearest-rank quantile: an observed value, never one between two. None of nothing."""
    ordered = sorted(values)
    return ordered[max(math.ceil(q * len(ordered)), 1) - 1] if ordered else None


def merged(faults: Sequence[FaultSpan], *, end: float) -> list[tuple[float, float]]:
    """The stretches in which at least one fault was on; one that never went off lasts until `end`."""
    spans: list[tuple[float, float]] = []
    for on, off in sorted((f.on, end if f.off is None else f.off) for f in faults):
        if spans and on <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(spans[-1][1], off))
        else:
            spans.append((on, off))
    return spans


@dataclass(frozen=True, slots=True)
class Stretch:
    """What happened to the requests of one part of the run."""

    name: str
    seconds: float
    requests: int
    ok: int
    degraded: int
    """Answers that said to be of level 1 or above."""
    ttft_p50: float | None
    ttft_p95: float | None
    total_p95: float | None

    @property
    def availability(self) -> float | None:
        return self.ok / self.requests if self.requests else None

    @property
    def degraded_share(self) -> float | None:
        """Of the answers, not of the requests."""
        return self.degraded / self.ok if self.ok else None


def stretch(name: str, seconds: float, requests: Iterable[Request]) -> Stretch:
    """Sum up some requests."""
    requests = tuple(requests)
    answered = [r for r in requests if r.outcome == "ok"]
    ttft = [r.ttft for r in answered if r.ttft is not None]
    return Stretch(
        name=name,
        seconds=seconds,
        requests=len(requests),
        ok=len(answered),
        degraded=sum(1 for r in answered if r.level is not None and r.level > 0),
        ttft_p50=quantile(ttft, 0.5),
        ttft_p95=quantile(ttft, 0.95),
        total_p95=quantile((r.total for r in answered if r.total is not None), 0.95),
    )


@dataclass(frozen=True, slots=True)
class Part:
    """A part of the run, and the requests that were meant to be sent in it."""

    name: str
    seconds: float
    requests: tuple[Request, ...]


def parts(
    requests: Sequence[Request],
    faults: Sequence[FaultSpan],
    *,
    end: float,
    steady: Sequence[Request] | None = None,
) -> list[Part]:
    """Before the first fault, while any was on, and after the last heal; the whole run where there was no fault.

    `steady` is what the steady state before the first fault is judged on, all that was asked before it where None: what
    was under way as the fault came on counts in no part, nor does what was asked between two faults.
    """
    spans = merged(faults, end=end)
    if not spans:
        return [Part(WHOLE, end, tuple(requests))]
    first, last = spans[0][0], spans[-1][1]
    before = (r for r in requests if r.intended < first) if steady is None else steady
    inside = tuple(r for r in requests if any(on <= r.intended < off for on, off in spans))
    found = [
        Part(BEFORE, first, tuple(before)),
        Part(BROKEN, sum(off - on for on, off in spans), inside),
    ]
    if last < end:
        found.append(Part(AFTER, end - last, tuple(r for r in requests if r.intended >= last)))
    return found


@dataclass(slots=True)
class Bin:
    """One column of the timeline: what was meant to be sent in it."""

    start: float
    width: float
    answers: list[int] = field(default_factory=lambda: [0] * (LEVELS + 1))
    """By level; the last one is of those that disclosed none."""
    errors: int = 0
    pending: int = 0
    ttft: list[float] = field(default_factory=list)
    """Of the answers, in seconds."""
    p50: float | None = None
    p95: float | None = None

    @property
    def answered(self) -> int:
        return sum(self.answers)


def bin_width(duration: float, *, most: int) -> float:
    """Seconds a column stands for: 1 s where that gives between 20 and `most` columns, else the nearest round step."""
    finest = 1.0 if duration >= 20 else 0.5 if duration >= 8 else 0.1
    return next((step for step in _STEPS if step >= finest and duration / step <= most), math.ceil(duration / most))


def bins(requests: Sequence[Request], *, duration: float, width: float) -> list[Bin]:
    """Requests sorted into columns of `width` seconds, with the quantiles of their time to first token.

    A request counts in the second in which it was meant to be sent, as it does in the windows that probes judge.
    """
    columns = [Bin(i * width, width) for i in range(max(math.ceil(duration / width - 1e-9), 1))]
    for request in requests:
        column = columns[min(max(int(request.intended / width), 0), len(columns) - 1)]
        if request.outcome == "pending":
            column.pending += 1
        elif request.outcome == "ok":
            level = UNSTATED if request.level is None else min(max(request.level, 0), LEVELS - 1)
            column.answers[level] += 1
            if request.ttft is not None:
                column.ttft.append(request.ttft)
        else:
            column.errors += 1
    for column in columns:
        column.p50 = quantile(column.ttft, 0.5)
        column.p95 = quantile(column.ttft, 0.95)
    return columns


def slowest(requests: Sequence[Request], *, count: int) -> list[Request]:
    """The answers that took longest, slowest first."""
    answered = [r for r in requests if r.outcome == "ok" and r.total is not None]
    return sorted(answered, key=lambda r: -(r.total or 0.0))[:count]


@dataclass(frozen=True, slots=True)
class Failure:
    """Requests that failed alike."""

    outcome: str
    status: int | None
    error: str
    source: str
    count: int
    first: float
    last: float


def failures(requests: Sequence[Request]) -> list[Failure]:
    """Every request that was not answered, grouped by how it failed, most frequent first."""
    groups: dict[tuple[str, int | None, str, str], list[float]] = {}
    for r in requests:
        if r.outcome not in ("ok", "pending"):
            groups.setdefault((r.outcome, r.status, r.error or "", r.error_source or ""), []).append(r.intended)
    found = [Failure(*key, count=len(at), first=min(at), last=max(at)) for key, at in groups.items()]
    return sorted(found, key=lambda f: (-f.count, f.first))
