"""How each part of a run differs from the steady state before it: quantiles with their intervals, and effects."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brownout.evidence.model import Request
from brownout.report.figures import BEFORE, Part
from brownout.statistics import CONFIDENCE, mann_whitney, quantile_ranks
from brownout.units import format_seconds

NEVER = math.inf
"""The latency of an answer that never came."""
LEAST = 20
"""Requests below which nothing is compared."""
CERTAIN = 0.99
"""How certain it must be that a difference is not chance."""
EFFECTS = ((0.474, "large"), (0.33, "medium"), (0.147, "small"))
"""What Cliff's delta is called from where on (Romano 2006); below the last it is negligible."""
MEASURES: Mapping[str, Callable[[Request], float]] = {
    "Time to first token": lambda r: NEVER if r.ttft is None else r.ttft,
    "Time to the whole answer": lambda r: NEVER if r.total is None or r.outcome != "ok" else r.total,
}


@dataclass(frozen=True, slots=True)
class Quantile:
    """A quantile and its confidence interval, in seconds; an end is None where the values are too few to bound it."""

    value: float
    low: float | None
    high: float | None

    def __str__(self) -> str:
        return _told(self.value)

    @property
    def interval(self) -> str:
        """`120 ms to 180 ms`; nothing where it is infinite for certain."""
        if math.isinf(self.value) and (self.low is None or math.isinf(self.low)):
            return ""
        if self.low is None and self.high is None:
            return "too few for an interval"
        if self.low is None:
            return f"up to {_told(self.high)}"
        return f"from {_told(self.low)}" if self.high is None else f"{_told(self.low)} to {_told(self.high)}"

    def surely_above(self, other: "Quantile") -> bool:
        """Whether the two intervals do not even touch, and this one is the larger."""
        return self.low is not None and other.high is not None and self.low > other.high


def _told(value: float | None) -> str:
    return "∞" if value is None or math.isinf(value) else format_seconds(value)


def quantile_of(ordered: Sequence[float], q: float, *, confidence: float = CONFIDENCE) -> Quantile | None:
    """The nearest-rank quantile of sorted values with its interval; None of fewer than `LEAST`, or too few for `q`."""
    if len(ordered) < max(LEAST, math.ceil(1 / (1 - q) - 1e-9)):
        return None
    lower, upper = quantile_ranks(len(ordered), q, confidence=confidence)
    return Quantile(
        ordered[max(math.ceil(q * len(ordered) - 1e-9), 1) - 1],
        None if lower is None else ordered[lower - 1],
        None if upper is None else ordered[upper - 1],
    )


@dataclass(frozen=True, slots=True)
class Shift:
    """How the latencies of one sample lie against those of another."""

    effect: float
    """Cliff's delta: above 0 slower, below 0 faster."""
    p: float
    """How likely so large an effect is by chance where nothing differs (one-sided, in the effect's direction)."""

    @property
    def size(self) -> str:
        return next((name for bound, name in EFFECTS if abs(self.effect) >= bound), "negligible")

    @property
    def clear(self) -> bool:
        """Whether it is neither chance nor too small to matter."""
        return self.p <= 1 - CERTAIN and self.size != "negligible"

    @property
    def verdict(self) -> str:
        """`slower, large effect`."""
        if not self.clear:
            return "no clear difference"
        return f"{'slower' if self.effect > 0 else 'faster'}, {self.size} effect"

    @property
    def figures(self) -> str:
        """`δ +0.83, p < 0.001`."""
        return f"δ {self.effect:+.2f}, {'p < 0.001' if self.p < 0.001 else f'p {self.p:.2g}'}"


def shift(sample: Sequence[float], other: Sequence[float]) -> Shift | None:
    """How `sample` lies against `other`, both sorted; None where either has fewer than `LEAST` values."""
    if min(len(sample), len(other)) < LEAST:
        return None
    slower = mann_whitney(sample, other)
    if slower.effect >= 0:
        return Shift(slower.effect, slower.p)
    return Shift(slower.effect, mann_whitney(other, sample).p)


@dataclass(frozen=True, slots=True)
class Compared:
    """One measure in one part of the run; `shift` against the steady state, None for that itself."""

    part: str
    p50: Quantile | None
    p95: Quantile | None
    shift: Shift | None


def against_baseline(parts: Sequence[Part]) -> list[tuple[str, list[Compared]]]:
    """For each measure, every part of the run against the first, where that was a steady state; else nothing.

    What never came is infinitely slow, as it is to the probes: a first token, the end of a complete answer.
    """
    if len(parts) < 2 or parts[0].name != BEFORE:
        return []
    found = []
    for name, measure in MEASURES.items():
        samples = [(part.name, sorted(map(measure, part.requests))) for part in parts]
        before = samples[0][1]
        rows = [
            Compared(
                part, quantile_of(values, 0.5), quantile_of(values, 0.95), None if i == 0 else shift(values, before)
            )
            for i, (part, values) in enumerate(samples)
        ]
        found.append((name, rows))
    return found
