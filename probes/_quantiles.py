"""Quantiles of latencies that failures cannot improve: exact order statistics over every request."""

import math
from collections.abc import Callable, Mapping, Sequence

from brownout.evidence import Request, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive
from brownout.units import Latency, format_seconds

from ._counting import is_available, too_few

NEVER = math.inf
"""The latency of what never came."""


def ttft_of(request: Request) -> float:
    """Seconds from the intended send time to the first token; infinite where it never came."""
    return NEVER if request.ttft is None else request.ttft


def total_of(request: Request) -> float:
    """Seconds from the intended send time to the end of a complete answer; infinite for any other end."""
    return NEVER if request.total is None or not is_available(request) else request.total


def rank_of(percent: int, count: int) -> int:
    """How many of `count` values lie at or below the quantile, by nearest rank; in integers, so never one off."""
    return -(-percent * count // 100)


def least_for(percent: int) -> int:
    """How many values a quantile needs, so that at least one lies above it: 100 for p99, 20 for p95."""
    return max(MIN_SAMPLES, math.ceil(100 / (100 - percent)))


def judge_quantiles(
    window: Window, *, measure: Callable[[Request], float], missing: str, limits: Mapping[int, Latency | None]
) -> Verdict:
    """Whether each stated quantile is at most its limit.

    Args:
        window: what to judge.
        measure: a request's latency in seconds.
        missing: what a request of infinite latency lacks: `never got a token`.
        limits: seconds by percentile; None for those that are not asked for.

    Raises:
        ValueError: no limit is stated, or one that nothing can meet.
    """
    stated = {percent: limit for percent, limit in limits.items() if limit is not None}
    if not stated:
        msg = f"state at least one of {', '.join(f'p{percent}' for percent in limits)}"
        raise ValueError(msg)
    if any(limit <= 0 for limit in stated.values()):
        msg = "a latency's limit must be above 0"
        raise ValueError(msg)
    threshold = ", ".join(f"p{percent} at most {format_seconds(limit)}" for percent, limit in stated.items())
    values = sorted(map(measure, window.requests))
    told = {
        percent: values[rank_of(percent, len(values)) - 1] for percent in stated if len(values) >= least_for(percent)
    }
    broken = [percent for percent in told if told[percent] > stated[percent]]
    if not broken and len(told) < len(stated):
        percent = max(stated.keys() - told.keys())
        why = f"{too_few(len(values), 'requests', least=least_for(percent))} a p{percent}"
        return inconclusive(threshold, samples=len(values), why=why)
    worst = max(told, key=lambda percent: told[percent] / stated[percent])
    return Verdict(
        "failed" if broken else "passed",
        ", ".join(f"p{percent} {_told(value)}" for percent, value in told.items()),
        threshold,
        len(values),
        _missing(values, missing),
        value=told[worst] if math.isfinite(told[worst]) else None,
        limit=stated[worst],
        unit="s",
    )


def _told(seconds: float) -> str:
    return format_seconds(seconds) if math.isfinite(seconds) else "∞"


def _missing(values: Sequence[float], what: str) -> str:
    count = sum(map(math.isinf, values))
    return f"{count} of {len(values)} requests {what}" if count else ""
