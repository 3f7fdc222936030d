"""What Brownout's proxy is meant to reach, as a multiple of what Toxiproxy does in the same round."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import median

Figures = Mapping[str, Mapping[str, Sequence[float]]]
"""By what was measured, then by side: one value for each round."""
MEASURED_AGAINST = "toxiproxy"


@dataclass(frozen=True, slots=True)
class Target:
    """A bound on the ratio of the two sides' values."""

    what: str
    bound: float
    at_least: bool

    def holds(self, ratio: float) -> bool:
        return ratio >= self.bound if self.at_least else ratio <= self.bound

    def __str__(self) -> str:
        return f"{'≥' if self.at_least else '≤'} {self.bound:.2f}"


TARGETS = (
    *(Target(f"requests/s at {connections}", 1.5, at_least=True) for connections in (1, 32, 256)),
    Target("bulk MB/s", 2.0, at_least=True),
    *(Target(f"late p99 ms at {connections}", 1 / 3, at_least=False) for connections in (1, 32, 256, 1000)),
    Target("inject to effective ms", 1.0, at_least=False),
    Target("heal to effective ms", 1.0, at_least=False),
)


def ratios(figures: Figures, what: str, side: str) -> list[float]:
    """Round by round: the side's value over Toxiproxy's. Empty where one of the two was not measured."""
    by_side = figures.get(what, {})
    pairs = zip(by_side.get(side, ()), by_side.get(MEASURED_AGAINST, ()), strict=False)
    return [ours / theirs for ours, theirs in pairs if theirs > 0]


def verdict(target: Target, found: Sequence[float]) -> str:
    """Whether the median of the rounds reaches it, and in how many of them it was reached."""
    reached = "reached" if target.holds(median(found)) else "missed"
    return f"{reached} ({sum(map(target.holds, found))} of {len(found)} rounds)"
