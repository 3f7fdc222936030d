"""Intervals that hold what they claim to, and Mann and Whitney's U against counting every pair."""

import math
import random
from bisect import bisect_left, bisect_right
from collections import Counter
from statistics import NormalDist

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.statistics import (
    mann_whitney,
    mean_interval,
    mean_interval_of_counts,
    order_statistics,
    quantile_ranks,
    share_interval,
)

VALUES = st.lists(st.integers(0, 6).map(float) | st.just(math.inf), min_size=1, max_size=30)


@given(st.integers(1, 500), st.data())
def test_a_shares_interval_holds_it_and_lies_between_0_and_1(of: int, data: st.DataObject) -> None:
    hits = data.draw(st.integers(0, of))
    low, high = share_interval(hits, of)
    assert 0 <= low <= hits / of <= high <= 1


def test_a_shares_interval_is_wilsons() -> None:
    # By hand, from the formula in Brown, Cai and DasGupta, Interval Estimation for a Binomial Proportion (2001).
    assert share_interval(9, 10) == pytest.approx((0.59585, 0.98212), abs=1e-5)
    assert share_interval(10, 10)[1] == 1.0
    assert share_interval(0, 10)[0] == 0.0


@pytest.mark.parametrize("quantile", [0.5, 0.9, 0.95])
@pytest.mark.parametrize("count", [40, 200])
def test_a_quantiles_interval_holds_the_true_one_about_as_often_as_it_claims(quantile: float, count: int) -> None:
    draw = random.Random(7)
    true = math.exp(NormalDist().inv_cdf(quantile))
    rounds, held = 1000, 0
    for _ in range(rounds):
        ordered = sorted(draw.lognormvariate(0, 1) for _ in range(count))
        lower, upper = quantile_ranks(count, quantile)
        low, high = (None if rank is None else ordered[rank - 1] for rank in (lower, upper))
        held += (low is None or low <= true) and (high is None or true <= high)
    assert held / rounds >= 0.94


def test_a_quantile_of_few_values_has_no_upper_bound() -> None:
    assert quantile_ranks(20, 0.95) == (17, None)
    assert quantile_ranks(20, 0.05) == (None, 4)


@pytest.mark.parametrize("seed", range(5))
def test_order_statistics_of_many_values_are_those_of_sorting_them(seed: int) -> None:
    draw = random.Random(seed)
    values = [draw.choice([draw.expovariate(1.0), 1.0, math.inf]) for _ in range(120_000)]
    if seed == 4:
        values.sort(key=lambda value: value % 0.001)
    ordered = sorted(values)
    for quantile in (0.001, 0.5, 0.95, 0.999, 1.0):
        rank = max(round(quantile * len(values)), 1)
        ranks = [max(rank - 50, 1), rank, min(rank + 50, len(values))]
        assert order_statistics(values, ranks) == {one: ordered[one - 1] for one in ranks}


def test_order_statistics_hold_where_the_sample_misleads() -> None:
    # Every value that the sample sees is small.
    values = [0.0 if n % (100_000 // 4096) == 0 else 1.0 + n for n in range(100_000)]
    assert order_statistics(values, [50_000, 99_999])[50_000] == sorted(values)[49_999]


def test_a_means_interval_holds_the_true_one_about_as_often_as_it_claims() -> None:
    draw = random.Random(7)
    held = 0
    for _ in range(1000):
        low, high = mean_interval([draw.expovariate(1.0) for _ in range(100)])
        held += low <= 1.0 <= high
    assert 0.92 <= held / 1000 <= 0.97


@given(VALUES, VALUES)
def test_the_effect_is_that_of_comparing_every_pair(sample: list[float], other: list[float]) -> None:
    more = sum(one > two for one in sample for two in other)
    less = sum(one < two for one in sample for two in other)
    difference = mann_whitney(sorted(sample), sorted(other))
    assert difference.effect == pytest.approx((more - less) / (len(sample) * len(other)))
    assert 0 <= difference.p <= 1


@given(VALUES, VALUES)
def test_the_effect_the_other_way_round_is_the_opposite(sample: list[float], other: list[float]) -> None:
    there, back = mann_whitney(sorted(sample), sorted(other)), mann_whitney(sorted(other), sorted(sample))
    assert there.effect == pytest.approx(-back.effect)


def test_chance_alone_is_found_about_as_often_as_p_says() -> None:
    draw = random.Random(7)
    found = 0
    for _ in range(1000):
        one, other = (sorted(round(draw.gauss(0, 1), 1) for _ in range(30)) for _ in range(2))
        found += mann_whitney(one, other).p < 0.05
    assert 0.03 <= found / 1000 <= 0.07


def test_a_real_difference_is_found() -> None:
    # Conover's worked form of the test; the exact p of total separation of 20 and 20 is below 1e-11.
    difference = mann_whitney([float(n) for n in range(20, 40)], [float(n) for n in range(20)])
    assert difference.effect == 1.0
    assert difference.p < 1e-6


def test_nothing_has_no_interval_and_no_comparison() -> None:
    for call in (
        lambda: share_interval(0, 0),
        lambda: mean_interval([1.0]),
        lambda: mean_interval_of_counts({1.0: 1}),
        lambda: mann_whitney([], [1.0]),
    ):
        with pytest.raises(ValueError, match=r"nothing|two"):
            call()


@given(st.lists(st.integers(0, 4).map(float), min_size=2, max_size=60))
def test_the_interval_of_a_mean_is_the_same_from_counts(values: list[float]) -> None:
    assert mean_interval_of_counts(Counter(values)) == pytest.approx(mean_interval(values))


def test_ties_among_many_values_count_as_they_do_among_few() -> None:
    draw = random.Random(5)
    now = sorted(draw.choice((math.inf, 0.5, draw.random())) for _ in range(30_000))
    before = sorted(draw.choice((math.inf, draw.random(), draw.random())) for _ in range(3000))
    times = Counter(now) + Counter(before)
    m, n = len(now), len(before)
    ties = sum(each**3 - each for each in times.values()) / ((m + n) * (m + n - 1))
    spread = math.sqrt(m * n / 12 * (m + n + 1 - ties))
    u = sum(
        bisect_left(before, value) + (bisect_right(before, value) - bisect_left(before, value)) / 2 for value in now
    )

    found = mann_whitney(now, before)

    assert found.effect == pytest.approx(2 * u / (m * n) - 1)
    assert found.p == pytest.approx(1 - NormalDist().cdf((u - m * n / 2 - 0.5) / spread), rel=1e-6)
    assert mann_whitney(before, now).effect == pytest.approx(-found.effect)
