"""A probe is a pure function over recorded evidence: it takes a window and returns a verdict with its figures.

    @probe
    def availability(window: Window, *, at_least: Share | None = None) -> Verdict: ...

Its keyword-only parameters are what an experiment may say of it (`at_least` is written `at-least`). Register it under
the entry point group `brownout.probes`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from types import NoneType
from typing import Concatenate, Literal, ParamSpec, get_args

from brownout.errors import shown
from brownout.evidence.window import Window

P = ParamSpec("P")
VerdictOutcome = Literal["passed", "failed", "inconclusive"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a probe says of a window, with the figures it rests on.

    The figure itself decides, not its interval: a run's requests are all that its users asked, no sample of them. The
    interval says how far another run of the same length could differ by chance alone.
    """

    outcome: VerdictOutcome
    figure: str
    """What was measured, for people: `99.6 %`, `opened after 1.4 s`."""
    threshold: str
    """What was asked for: `at least 99 %`."""
    samples: int
    """How many observations the figure rests on."""
    why: str = ""
    """One sentence where outcome and figure do not speak for themselves."""
    value: float | None = None
    """The figure as a number, in `unit`, for charts and comparisons."""
    limit: float | None = None
    """The threshold as a number, in `unit`."""
    unit: str = ""
    """`s`, `share`, `level`, `USD`, ... or empty."""
    low: float | None = None
    """Lower end of the figure's 95 % confidence interval, in `unit`; None where it has none, or none on that side."""
    high: float | None = None
    """Upper end of it."""

    @property
    def margin(self) -> float | None:
        """How close it came, in `unit`: the figure's distance from the threshold, below 0 where it did not pass."""
        if self.value is None or self.limit is None:
            return None
        distance = abs(self.value - self.limit)
        return distance if self.outcome == "passed" else -distance


def flaw_of(answer: object) -> str | None:
    """Why what a probe returned is no verdict that can be written down and shown; None where it is one.

    Probes are anybody's, and Python holds nobody to what is declared.
    """
    if not isinstance(answer, Verdict):
        return f"returned {shown(answer)} instead of a Verdict"
    if answer.outcome not in get_args(VerdictOutcome):
        return f"returned a Verdict whose outcome is {shown(answer.outcome)}"
    for names, kinds, wanted in (
        (("figure", "threshold", "why", "unit"), (str,), "text"),
        (("samples",), (int,), "a whole number"),
        (("value", "limit", "low", "high"), (int, float, NoneType), "a number"),
    ):
        for name in names:
            if not isinstance(found := getattr(answer, name), kinds):
                return f"returned a Verdict whose {name} is {shown(found)} instead of {wanted}"
    return None


MIN_SAMPLES = 20
"""Fewer observations than this and a share or a quantile is inconclusive: one bad answer would be worth over 5 %."""


def inconclusive(threshold: str, *, samples: int, why: str) -> Verdict:
    """The verdict of a probe that cannot tell."""
    return Verdict("inconclusive", "–", threshold, samples, why)


def probe(function: Callable[Concatenate[Window, P], Verdict]) -> Callable[Concatenate[Window, P], Verdict]:
    """Mark a function as a probe.

    Raises:
        TypeError: it takes no window first, or a parameter is not keyword-only.
    """
    from brownout.parameters import check_declaration  # noqa: PLC0415 - a probe's own module stays light to import

    check_declaration(function, first="window")
    function.__brownout__ = "probe"  # type: ignore[attr-defined]
    return function
