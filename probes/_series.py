"""Scraped metric series, and what can be read off them."""

import math
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise

from brownout.evidence import Window

MIN_SCRAPES = 3
"""Fewer looks at a series than this tell nothing: no verdict rests on one sample, nor on two that differ by chance."""
Labels = tuple[tuple[str, str], ...]
Point = tuple[float, float]
"""When it was read, in seconds of the run, and its value."""


def labels_of(text: str | None) -> Mapping[str, str]:
    """`dependency=vector-db, outcome=ok` → by name.

    Raises:
        ValueError: it is none.
    """
    pairs = [part.partition("=") for part in (text or "").split(",") if part.strip()]
    if not all(name.strip() and equals for name, equals, _ in pairs):
        msg = "labels are written name=value, name=value"
        raise ValueError(msg)
    return {name.strip(): value.strip().strip("\"'") for name, _, value in pairs}


def series_of(
    window: Window,
    metric: str,
    *,
    source: str | None = None,
    wanted: Callable[[Mapping[str, str]], bool] = lambda _: True,
) -> Mapping[tuple[str, Labels], Sequence[Point]]:
    """Every series of a metric whose labels are wanted, by its source and labels; what is no number is left out."""
    found: dict[tuple[str, Labels], list[Point]] = {}
    chosen: dict[Labels, bool] = {}
    for sample in window.samples:
        if sample.metric != metric or source not in (None, sample.source) or math.isnan(sample.value):
            continue
        if sample.labels not in chosen:
            chosen[sample.labels] = wanted(dict(sample.labels))
        if chosen[sample.labels]:
            found.setdefault((sample.source, sample.labels), []).append((sample.at, sample.value))
    return found


def scrapes_of(window: Window, sources: set[str]) -> Sequence[float]:
    """When any of these sources was looked at, in order."""
    return sorted({sample.at for sample in window.samples if sample.source in sources})


def total(series: Mapping[tuple[str, Labels], Sequence[Point]]) -> Sequence[Point]:
    """All series added up, at each moment at which any was read.

    Each source is read at moments of its own; in between it is what it was, from when all have been read once.
    """
    sums: dict[str, dict[float, float]] = {}
    for (source, _), points in series.items():
        of_source = sums.setdefault(source, {})
        for at, value in points:
            of_source[at] = of_source.get(at, 0.0) + value
    if len(sums) <= 1:
        return sorted(next(iter(sums.values()), {}).items())
    now: dict[str, float] = {}
    found: dict[float, float] = {}
    for at, source, value in sorted((at, source, value) for source, one in sums.items() for at, value in one.items()):
        now[source] = value
        if len(now) == len(sums):
            found[at] = sum(now.values())
    return list(found.items())


def growth(window: Window, series: Mapping[tuple[str, Labels], Sequence[Point]]) -> float:
    """By how much counters grew, all together; each from when its own source was first looked at."""
    firsts = {source: scrapes_of(window, {source})[0] for source, _ in series}
    return sum(increase(points, first_look=firsts[source]) for (source, _), points in series.items())


def increase(points: Sequence[Point], *, first_look: float) -> float:
    """By how much a counter grew. One that falls has begun anew, from 0; one that was not there yet at the first look
    began at 0 since then."""
    grown = points[0][1] if points[0][0] > first_look else 0.0
    for (_, before), (_, after) in pairwise(points):
        grown += after - before if after >= before else after
    return grown
