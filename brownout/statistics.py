"""Statistics of judging: intervals around what was measured, and whether two samples differ. Pure and deterministic.

From the standard library alone: these few formulas do not pay for SciPy, which is twice the size of all else together.
"""

import math
import operator
from bisect import bisect_left, bisect_right
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist

CONFIDENCE = 0.95
"""Of every interval that a verdict tells."""
_NORMAL = NormalDist()
_TOO_FEW = "the interval of a mean takes two values"
_SAMPLED = 10_000
"""Places at which many values are looked at for ties."""
_MANY, _SAMPLE = 50_000, 4096
"""From how many values on sorting them all is not worth it, and how many then stand for them."""


def z_of(confidence: float) -> float:
    """How many standard deviations to either side hold that share of a normal distribution: 1.96 for 95 %."""
    return _NORMAL.inv_cdf((1 + confidence) / 2)


def share_interval(hits: int, of: int, *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """Wilson's score interval of a share (Wilson 1927); unlike the textbook's, sound near 0 and 1.

    Raises:
        ValueError: of nothing.
    """
    if of < 1:
        msg = "a share of nothing has no interval"
        raise ValueError(msg)
    z, share = z_of(confidence), hits / of
    middle = (share + z * z / (2 * of)) / (1 + z * z / of)
    spread = z / (1 + z * z / of) * math.sqrt(share * (1 - share) / of + z * z / (4 * of * of))
    # At the ends the formula is exact, its rounding is not.
    return (0.0 if hits == 0 else middle - spread), (1.0 if hits == of else middle + spread)


def quantile_ranks(count: int, quantile: float, *, confidence: float = CONFIDENCE) -> tuple[int | None, int | None]:
    """Between which of `count` ordered values a quantile lies, whatever their distribution: two ranks, from 1 on.

    By the normal approximation to the binomial, rounded outwards (Conover, Practical Nonparametric Statistics, 3.2).
    None on a side where the values are too few to bound it.
    """
    spread = z_of(confidence) * math.sqrt(count * quantile * (1 - quantile))
    lower, upper = math.floor(count * quantile - spread), math.ceil(count * quantile + spread) + 1
    return lower if lower >= 1 else None, upper if upper <= count else None


def order_statistics(values: Sequence[float], ranks: Sequence[int]) -> Mapping[int, float]:
    """The values of these ranks, from 1 on, without sorting all of them where they are many; none of them NaN.

    The ranks are best near each other: two of a sample's values are found between which they lie almost surely, and
    only what lies between is sorted.
    """
    count, below = len(values), 0
    between: Sequence[float] = ()
    if count > _MANY:
        sample = sorted(values[:: count // _SAMPLE])
        # Four standard deviations of a sample's rank, at its worst in the middle.
        slack = 2 * math.isqrt(len(sample))
        low = sample[max(min(ranks) * len(sample) // count - slack, 0)]
        high = sample[min(max(ranks) * len(sample) // count + slack, len(sample) - 1)]
        below = sum(map(low.__gt__, values))
        between = sorted([value for value in values if low <= value <= high])
    if not (below < min(ranks) and max(ranks) <= below + len(between)):
        below, between = 0, sorted(values)
    return {rank: between[rank - 1 - below] for rank in ranks}


def mean_interval(values: Sequence[float], *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The interval of a mean by the central limit theorem; a probe has 20 values or more.

    Raises:
        ValueError: fewer than two values.
    """
    if len(values) < 2:
        raise ValueError(_TOO_FEW)
    mean = math.fsum(values) / len(values)
    deviations = [value - mean for value in values]
    return _around(mean, sum(map(operator.mul, deviations, deviations)), len(values), confidence)


def mean_interval_of_counts(times: Mapping[float, int], *, confidence: float = CONFIDENCE) -> tuple[float, float]:
    """The same of values of which few differ, each with how often it occurs.

    Raises:
        ValueError: fewer than two values.
    """
    count = sum(times.values())
    if count < 2:
        raise ValueError(_TOO_FEW)
    mean = math.fsum(value * often for value, often in times.items()) / count
    return _around(mean, math.fsum((value - mean) ** 2 * often for value, often in times.items()), count, confidence)


def _around(mean: float, squares: float, count: int, confidence: float) -> tuple[float, float]:
    spread = z_of(confidence) * math.sqrt(squares / (count - 1)) / math.sqrt(count)
    return mean - spread, mean + spread


@dataclass(frozen=True, slots=True)
class Difference:
    """By how much one sample is larger than another."""

    effect: float
    """Cliff's delta, from -1 to 1: how much more often a value of the one exceeds one of the other than the reverse."""
    p: float
    """How likely an effect at least as large is by chance, where nothing differs (one-sided)."""


def mann_whitney(sample: Sequence[float], other: Sequence[float]) -> Difference:
    """Whether the values of `sample` tend to exceed those of `other`; both sorted, infinities allowed.

    Mann and Whitney's U by the normal approximation, corrected for ties and for continuity; good from 20 values on.

    Raises:
        ValueError: a sample is empty.
    """
    m, n = len(sample), len(other)
    if not m or not n:
        msg = "a comparison takes two samples"
        raise ValueError(msg)
    few, many = (sample, other) if m < n else (other, sample)
    below = [bisect_left(many, value) for value in few]
    u = float(sum(below))
    # Where a value of the few occurs among the many as well, and how often in each.
    shared = Counter(value for value, at in zip(few, below, strict=True) if at < len(many) and many[at] == value)
    ties = sum(_tied(times) for times in (*_repetitions(few), *_repetitions(many)))
    for value, times in shared.items():
        others = bisect_right(many, value) - bisect_left(many, value)
        u += times * others / 2
        ties += _tied(times + others) - _tied(times) - _tied(others)
    if few is not sample:
        u = m * n - u
    total = m + n
    variance = m * n / 12 * (total + 1 - ties / (total * (total - 1)))
    effect = 2 * u / (m * n) - 1
    if variance <= 0:
        return Difference(effect, 1.0)
    return Difference(effect, 1 - _NORMAL.cdf((u - m * n / 2 - 0.5) / math.sqrt(variance)))


def _tied(times: int) -> int:
    """What so many equal values take from the variance."""
    return times**3 - times


def _repetitions(ordered: Sequence[float]) -> Iterator[int]:
    """How often each value occurs that occurs several times.

    Of many values only the runs that some of `_SAMPLED` evenly spaced places fall into: all that are longer than the
    space between two of those. What the shorter ones take from the variance is less than 1e-8 of it.
    """
    for value in dict.fromkeys(ordered[:: max(len(ordered) // _SAMPLED, 1)]):
        times = bisect_right(ordered, value) - bisect_left(ordered, value)
        if times > 1:
            yield times
