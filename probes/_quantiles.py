"""Quantiles of latencies that failures cannot improve: exact order statistics over every request."""

import math
from array import array
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from brownout.evidence import Requests, Window, derived
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive
from brownout.statistics import order_statistics, quantile_ranks
from brownout.units import Latency, format_seconds

from ._counting import too_few
from ._whose import Whose, chosen

NEVER = math.inf
"""The latency of what never came."""
Limits = Mapping[float, Latency | None]
"""Seconds by percentile; None for those that are not asked for."""


class LatencyLimits(Whose, total=False):
    """What an experiment may ask of a latency, and of whose.

    Args:
        p50: the median is at most this.
        p90: the 90th percentile is at most this.
        p95: the 95th percentile is at most this.
        p99: the 99th percentile is at most this. State at least one.
        percentile: any other, such as 99.9; goes with at-most.
        at_most: that percentile is at most this.
        tier: only requests of callers of this tier.
        load: only requests of this stream of the load.
    """

    p50: Latency | None
    p90: Latency | None
    p95: Latency | None
    p99: Latency | None
    percentile: float | None
    at_most: Latency | None


@derived
def times_to_first_token(requests: Requests) -> Sequence[float]:
    """Seconds from the intended send time to the first token; infinite where it never came."""
    gaps = zip(requests.first_token, requests.intended, strict=True)
    return array("d", [first - due if first == first else NEVER for first, due in gaps])  # noqa: PLR0124 - NaN


@derived
def times_to_end(requests: Requests) -> Sequence[float]:
    """Seconds from the intended send time to the end of a complete answer; infinite for any other end."""
    gaps = zip(requests.outcome, requests.done, requests.intended, strict=True)
    # NaN, of what never ended, fails the comparison.
    return array("d", [done - due if outcome == "ok" and done > -NEVER else NEVER for outcome, done, due in gaps])


@derived
def times_per_token(requests: Requests) -> Sequence[float]:
    """Mean seconds between the tokens of each streamed answer that has several; infinite where it was not completed."""
    gaps = zip(requests.outcome, requests.tpot, requests.stream, strict=True)
    return array(
        "d",
        [
            gap if outcome == "ok" else NEVER
            for outcome, gap, stream in gaps
            if stream and (outcome != "ok" or gap == gap)  # noqa: PLR0124 - NaN
        ],
    )


def rank_of(percent: float, count: int) -> int:
    """How many of `count` values lie at or below the quantile, by nearest rank; in fractions, so never one off."""
    return math.ceil(Fraction(str(percent)) * count / 100)


def least_for(percent: float) -> int:
    """How many values a quantile needs, so that at least one lies above it: 100 for p99, 20 for p95."""
    return max(MIN_SAMPLES, math.ceil(100 / (100 - Fraction(str(percent)))))


def limits_of(asked: LatencyLimits) -> Limits:
    """The limits that a probe's arguments state.

    Raises:
        ValueError: none is stated, or one that nothing or anything can meet.
    """
    percentile, at_most = asked.get("percentile"), asked.get("at_most")
    if (percentile is None) != (at_most is None):
        msg = "percentile and at-most go together"
        raise ValueError(msg)
    if percentile is not None and not 0 < percentile < 100:
        msg = "percentile must lie between 0 and 100, such as 99.9"
        raise ValueError(msg)
    limits: dict[float, Latency | None] = {
        50.0: asked.get("p50"),
        90.0: asked.get("p90"),
        95.0: asked.get("p95"),
        99.0: asked.get("p99"),
    }
    if percentile is not None:
        limits[percentile] = at_most
    if all(limit is None for limit in limits.values()):
        msg = "state at least one of p50, p90, p95, p99, or percentile and at-most"
        raise ValueError(msg)
    if any(limit is not None and limit <= 0 for limit in limits.values()):
        msg = "a latency's limit must be above 0"
        raise ValueError(msg)
    return limits


def judge_quantiles(
    window: Window,
    measure: Callable[[Requests], Sequence[float]],
    *,
    asked: LatencyLimits,
    missing: str,
    what: str = "requests",
) -> Verdict:
    """Whether each stated quantile is at most its limit.

    Args:
        window: whose requests are judged.
        measure: their latencies, in seconds; infinite for what never came.
        asked: the probe's arguments.
        missing: what one of infinite latency lacks: `never got a token`.
        what: what has these latencies, in the plural.

    Raises:
        ValueError: the arguments make no sense.
    """
    limits = limits_of(asked)
    latencies = measure(chosen(window, tier=asked.get("tier"), load=asked.get("load")).requests)
    stated = {percent: limit for percent, limit in limits.items() if limit is not None}
    threshold = ", ".join(f"p{percent:g} at most {format_seconds(limit)}" for percent, limit in stated.items())
    count = len(latencies)
    enough = [percent for percent in stated if count >= least_for(percent)]
    found = {percent: _quantile(latencies, percent) for percent in enough}
    broken = [percent for percent in enough if found[percent].value > stated[percent]]
    if not broken and len(enough) < len(stated):
        percent = max(stated.keys() - found.keys())
        why = f"{too_few(count, what, least=least_for(percent))} a p{percent:g}"
        return inconclusive(threshold, samples=count, why=why)
    worst = max(enough, key=lambda percent: found[percent].value / stated[percent])
    absent = latencies.count(NEVER)
    return Verdict(
        "failed" if broken else "passed",
        ", ".join(f"p{percent:g} {_told(quantile.value)}" for percent, quantile in found.items()),
        threshold,
        count,
        f"{absent} of {count} {what} {missing}" if absent else "",
        value=_finite(found[worst].value),
        limit=stated[worst],
        unit="s",
        low=_finite(found[worst].low),
        high=_finite(found[worst].high),
    )


@dataclass(frozen=True, slots=True)
class _Quantile:
    value: float
    low: float | None
    high: float | None


def _quantile(latencies: Sequence[float], percent: float) -> _Quantile:
    rank, (lower, upper) = rank_of(percent, len(latencies)), quantile_ranks(len(latencies), percent / 100)
    found = order_statistics(latencies, [one for one in (lower, rank, upper) if one is not None])
    return _Quantile(found[rank], found.get(lower or 0), found.get(upper or 0))


def _finite(seconds: float | None) -> float | None:
    return seconds if seconds is not None and math.isfinite(seconds) else None


def _told(seconds: float) -> str:
    return format_seconds(seconds) if math.isfinite(seconds) else "∞"
