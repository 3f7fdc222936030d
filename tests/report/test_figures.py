"""The numbers behind the charts."""

import random
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence.model import FaultSpan
from brownout.report.charts import clock_label, fitted, latency_axis, time_ticks, value_axis, width_of
from brownout.report.figures import bin_width, bins, failures, merged, parts, quantile, slowest, stretch

values = st.lists(st.floats(0, 1e4), min_size=1)


@given(values, st.floats(0, 1))
def test_a_quantile_is_one_of_the_values_with_at_least_that_share_at_or_below_it(seen: list[float], q: float) -> None:
    found = quantile(seen, q)
    assert found in seen
    assert sum(v <= found for v in seen) >= q * len(seen) - 1e-9


def test_the_quantile_of_nothing_is_none() -> None:
    assert quantile([], 0.5) is None


def test_overlapping_faults_are_one_stretch_and_one_that_never_went_off_lasts_until_the_end() -> None:
    spans = [FaultSpan(0, "a", "a", 5, 10), FaultSpan(1, "b", "b", 8, 12), FaultSpan(2, "c", "c", 20, None)]
    assert merged(spans, end=30) == [(5, 12), (20, 30)]


def test_every_request_stands_in_exactly_one_column(made: dict[str, Callable[..., Any]]) -> None:
    requests = made["failed"]().recording.requests
    columns = bins(requests, duration=60, width=1)
    assert len(columns) == 60
    assert sum(c.answered + c.errors for c in columns) == len(requests)


def test_the_parts_of_a_run_hold_all_of_its_requests(made: dict[str, Callable[..., Any]]) -> None:
    run = made["passed"]().recording
    found = [stretch(one.name, one.seconds, one.requests) for one in parts(run.requests, run.faults, end=60)]
    assert [part.name for part in found] == ["Before", "While broken", "After the heal"]
    assert sum(part.requests for part in found) == len(run.requests)
    assert found[0].degraded == 0
    assert (found[1].degraded_share or 0) > 0.95


def test_failures_are_grouped_and_the_slowest_come_first(made: dict[str, Callable[..., Any]]) -> None:
    requests = made["aborted"]().recording.requests
    groups = failures(requests)
    assert groups[0].error == "upstream_unavailable"
    assert sum(group.count for group in groups) == sum(r.outcome != "ok" for r in requests)
    totals = [r.total or 0.0 for r in slowest(requests, count=5)]
    assert totals == sorted(totals, reverse=True)


@given(st.floats(0.5, 1e6))
def test_a_run_of_any_length_has_few_columns_and_few_ticks(duration: float) -> None:
    assert duration / bin_width(duration, most=240) <= 240
    ticks = time_ticks(duration, most=13)
    assert len(ticks) <= 14
    assert all(0 <= tick <= duration * (1 + 1e-9) for tick in ticks)
    assert len({clock_label(tick, duration=duration) for tick in ticks}) == len(ticks)


@given(values)
def test_an_axis_holds_all_values_and_its_ticks_are_few(seen: list[float]) -> None:
    axis = value_axis(max(seen))
    assert axis.high >= max(seen) * (1 - 1e-9)
    assert 2 <= len(axis.ticks) <= 6
    latency = latency_axis(seen)
    assert latency.high >= max(seen) * (1 - 1e-9)
    draw = latency.scale(100, 0)
    assert all(-1e-6 <= draw(v) <= 100 + 1e-6 for v in seen if v > 0)


def test_one_scale_serves_alike_latencies_and_a_logarithmic_one_serves_outliers() -> None:
    draw = random.Random(1)
    normal = [draw.uniform(0.1, 0.4) for _ in range(60)]
    assert not latency_axis([*normal, 1.0]).log
    assert latency_axis([*normal, 30.0]).log


@given(st.text(), st.floats(0, 500))
def test_a_shortened_text_fits(text: str, room: float) -> None:
    assert width_of(fitted(text, room)) <= room + 1e-6 or fitted(text, room) == ""
