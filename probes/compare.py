"""How a window differs from the steady state before the fault."""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, Unpack

from brownout.evidence import Requests, Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.statistics import mann_whitney, quantile_ranks
from brownout.units import Share

from ._counting import too_few, worst
from ._quantiles import least_for, rank_of, times_per_token, times_to_end, times_to_first_token
from ._whose import Whose, chosen

CERTAIN = Share(0.99)


def _costs(requests: Requests) -> Sequence[float]:
    return [cost for cost in requests.cost if cost == cost]  # noqa: PLR0124 - NaN is what no answer said


MEASURES: Mapping[str, Callable[[Requests], Sequence[float]]] = {
    "ttft": times_to_first_token,
    "total": times_to_end,
    "tpot": times_per_token,
    "cost": _costs,
}


@probe
def compare(
    window: Window,
    *,
    measure: Literal["ttft", "total", "tpot", "cost"],
    effect: float | None = None,
    p50: float | None = None,
    p95: float | None = None,
    p99: float | None = None,
    confidence: Share = CERTAIN,
    **whose: Unpack[Whose],
) -> Verdict:
    """By how much requests are worse than in the steady state before the fault, chance left aside.

    As in canary analysis: the effect is Cliff's delta, how much more often a request of this window is worse than one
    of the steady state than the reverse, by Mann and Whitney's U; 0.147 is called small, 0.33 medium, 0.474 large
    (Romano 2006). A difference too large, but which chance may explain, is inconclusive.

    Args:
        measure: what is compared. What never came is infinitely slow: a first token; for total and tpot, the end of a
            complete answer. Of the cost, only answers that tell theirs are compared.
        effect: passed when the effect is at most this, from 0 to below 1.
        p50: the median is at most so many times that of the steady state.
        p95: the same of the 95th percentile.
        p99: the same of the 99th. State at least one of the four.
        confidence: a difference must be this certain to fail.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    times = {percent: limit for percent, limit in ((50, p50), (95, p95), (99, p99)) if limit is not None}
    if effect is None and not times:
        msg = "compare needs at least one of effect, p50, p95 and p99"
        raise ValueError(msg)
    if (effect is not None and not 0 <= effect < 1) or any(limit < 1 for limit in times.values()):
        msg = "effect lies between 0 and 1, and a quantile may at least be what it was: 1"
        raise ValueError(msg)
    if not 0.5 <= confidence < 1:
        msg = "confidence must lie between 50% and 100%"
        raise ValueError(msg)
    asked = [f"effect at most {effect:g}"] if effect is not None else []
    asked += [f"p{percent} at most {limit:g}×" for percent, limit in times.items()]
    threshold = f"{measure} {', '.join(asked)} of the steady state's"
    if window.baseline is None:
        return inconclusive(threshold, samples=0, why="there is no steady state to compare with")
    # As numbers side by side: a million of them as objects take four times that.
    now, before = (array("d", sorted(MEASURES[measure](one.requests))) for one in (window, window.baseline))
    least = max((least_for(percent) for percent in times), default=least_for(50))
    if min(len(now), len(before)) < least:
        where = "here" if len(now) < len(before) else "in the steady state"
        why = f"{too_few(min(len(now), len(before)), 'requests', least=least)}, {where}"
        return inconclusive(threshold, samples=len(now), why=why)
    found = [_effect(now, before, effect, confidence)] if effect is not None else []
    found += [_ratio(now, before, percent, limit, confidence) for percent, limit in times.items()]
    decisive = worst(found)
    figure = ", ".join(one.figure for one in found)
    return Verdict(
        decisive.outcome,
        figure if decisive.outcome != "inconclusive" else "–",
        threshold,
        len(now),
        f"{figure}, which may be chance" if decisive.outcome == "inconclusive" else f"{len(before)} requests before",
        value=decisive.value,
        limit=decisive.limit,
        low=decisive.low,
        high=decisive.high,
    )


def _effect(now: Sequence[float], before: Sequence[float], limit: float, confidence: float) -> Verdict:
    difference = mann_whitney(now, before)
    if difference.effect <= limit:
        outcome: Literal["passed", "failed", "inconclusive"] = "passed"
    else:
        outcome = "failed" if difference.p <= 1 - confidence else "inconclusive"
    figure = f"effect {difference.effect:+.2f} (p {difference.p:.2g})"
    return Verdict(outcome, figure, "", len(now), value=difference.effect, limit=limit)


def _ratio(now: Sequence[float], before: Sequence[float], percent: int, limit: float, confidence: float) -> Verdict:
    """The ratio of two quantiles; each one's interval at half the doubt, so that both hold together."""
    here, there = (one[rank_of(percent, len(one)) - 1] for one in (now, before))
    sure = (1 + confidence) / 2
    lower, _ = quantile_ranks(len(now), percent / 100, confidence=sure)
    _, upper = quantile_ranks(len(before), percent / 100, confidence=sure)
    low = now[lower - 1] if lower is not None else None
    high = before[upper - 1] if upper is not None else None
    ratio = here / there if there > 0 and math.isfinite(there) else math.inf if here > there else 1.0
    # What cost nothing before, and something now, is infinitely dearer.
    least = None if low is None or high is None else low / high if high else math.inf if low else None
    if ratio <= limit:
        outcome: Literal["passed", "failed", "inconclusive"] = "passed"
    else:
        outcome = "failed" if least is not None and least > limit else "inconclusive"
    figure = f"p{percent} {ratio:.3g}×" if math.isfinite(ratio) else f"p{percent} ∞"
    return Verdict(outcome, figure, "", len(now), value=_finite(ratio), limit=limit, low=_finite(least))


def _finite(ratio: float | None) -> float | None:
    return ratio if ratio is not None and math.isfinite(ratio) else None
