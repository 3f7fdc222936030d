"""The load's figures beside those of Prometheus: what is asked, what is compared, when it warns."""

import asyncio
import functools
import math
import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Recording, Sample
from brownout.evidence.model import FaultSpan
from brownout.prometheus.client import Prometheus
from brownout.prometheus.crosscheck import (
    FIGURES,
    MOST,
    SOURCE,
    STRETCHES,
    Compared,
    ask_figures,
    bucket_of,
    compared,
)
from brownout.prometheus.server import lacking
from brownout.reader import parse_experiment
from brownout.report.html import render
from brownout.report.markdown import markdown
from brownout.report.view import RunView
from tests.evidence.making import info, request
from tests.prometheus.conftest import Running
from tests.report.conftest import told
from tests.tiny import EXPERIMENT

LONGER = {"duration: 2500ms": "duration: 30s", "at: 1s": "at: 10s", "for: 500ms": "for: 10s"}
EXPERIMENT_OF_30_S = parse_experiment(
    functools.reduce(lambda text, change: text.replace(*change), LONGER.items(), EXPERIMENT), file="tiny.yaml"
)
BOUNDS = " or ".join(f"label_replace(vector(1), 'le', '{le}', '', '')" for le in ("0.2", "+Inf"))


def recorded(*, ttft: float = 0.2) -> Recording:
    """20 requests a second for 30 s; while the fault is on, every second one fails."""
    recording = Recording()
    for n in range(600):
        at = n / 20
        failed = 10 <= at < 20 and n % 2
        recording.add_request(request(n, at, ttft=None if failed else ttft, outcome="error" if failed else "ok"))
    recording.add_fault(FaultSpan(0, "partition", "partition gateway → store", 10.0, 20.0))
    return recording


def said(recording: Recording, figure: str, stretch: str, value: float, **labels: str) -> None:
    labels |= {"query": f"the {figure}", "stretch": stretch}
    recording.add_sample(Sample(29.9, SOURCE, figure, tuple(sorted(labels.items())), value))


def all_said(recording: Recording, **values: float) -> None:
    for figure, usual in {"request-rate": 20.0, "error-share": 0.0, "ttft-p95": 0.2}.items():
        for stretch in STRETCHES:
            broken = {"during": 0.5, "whole run": 1 / 6}.get(stretch, 0.0)
            said(recording, figure, stretch, values.get(figure, broken if figure == "error-share" else usual))


def disagreeing(recording: Recording) -> list[tuple[str, str]]:
    return [(one.figure, one.stretch) for one in compared(EXPERIMENT_OF_30_S, recording, end=30.0) if one.disagree]


def test_what_both_see_alike_agrees() -> None:
    recording = recorded()
    all_said(recording)
    found = compared(EXPERIMENT_OF_30_S, recording, end=30.0)
    assert [one.figure for one in found[:4]] == ["request-rate"] * 4
    assert len(found) == 12
    assert disagreeing(recording) == []


@pytest.mark.parametrize(("factor", "differs"), [(1.09, False), (1.11, True), (0.91, False), (0.89, True)])
def test_more_than_a_tenth_of_the_loads_own_figure_is_a_disagreement(factor: float, differs: bool) -> None:
    recording = recorded()
    said(recording, "request-rate", "during", 20.0 * factor)
    assert disagreeing(recording) == ([("request-rate", "during")] if differs else [])


def test_errors_that_only_the_load_sees_are_a_disagreement_unless_there_are_next_to_none() -> None:
    recording = recorded()
    said(recording, "error-share", "during", 0.0)
    said(recording, "error-share", "after", 0.005)
    assert disagreeing(recording) == [("error-share", "during")]


@pytest.mark.parametrize(("ttft", "differs"), [(0.21, False), (0.29, False), (0.32, False), (0.34, True), (0.17, True)])
def test_a_quantile_from_a_histogram_differs_only_outside_its_bucket(ttft: float, differs: bool) -> None:
    recording = recorded(ttft=ttft)
    said(recording, "ttft-p95", "after", 0.25, low="0.2", high="0.3")
    assert bool(disagreeing(recording)) is differs


@given(st.lists(st.floats(0.001, 100), min_size=1, max_size=20, unique=True), st.floats(0.0001, 200))
def test_a_quantile_lies_in_its_bucket(bounds: list[float], value: float) -> None:
    low, high = bucket_of(value, [*bounds, math.inf])
    assert low <= value <= high
    assert not any(low < bound < high for bound in bounds)


def test_where_too_little_was_asked_or_prometheus_is_silent_nothing_is_compared() -> None:
    recording = Recording()
    for n in range(10):
        recording.add_request(request(n, float(n)))
    said(recording, "request-rate", "whole run", 50.0)
    (few,) = compared(EXPERIMENT_OF_30_S, recording, end=30.0)
    assert (few.ours, few.disagree) == (None, False)

    recording = recorded()
    said(recording, "request-rate", "whole run", math.nan)
    (silent,) = compared(EXPERIMENT_OF_30_S, recording, end=30.0)
    assert (silent.theirs, silent.disagree) == (None, False)
    assert compared(EXPERIMENT_OF_30_S, recorded(), end=30.0) == []


def test_a_difference_from_nothing_is_endless() -> None:
    assert Compared("request-rate", "during", 0.0, 1.0, "").difference == math.inf
    assert Compared("request-rate", "during", 0.0, 0.0, "").difference == 0
    assert Compared("request-rate", "during", 10.0, 12.0, "").difference == pytest.approx(2 * MOST)


# -- the report -------------------------------------------------------------------------------------------------------


def view(recording: Recording, made: Callable[[], Any]) -> RunView:
    told = made()
    environment = {"prometheus": "http://prom.test:9090"}
    return RunView(
        replace(info(), environment=environment),
        EXPERIMENT_OF_30_S,
        recording,
        replace(told.judgement, end=30.0),
    )


def test_the_report_shows_both_and_warns_where_they_differ() -> None:
    recording = recorded()
    all_said(recording, **{"request-rate": 15.0})
    page, comment = render(view(recording, told)), markdown(view(recording, told))
    assert "Against Prometheus" in page
    assert "http://prom.test:9090" in page
    assert "differ by more than 10 %" in page
    assert "Requests per second, while broken: 20/s seen by the load, 15/s by Prometheus" in page
    assert "Prometheus sees other figures than the load" in page
    assert "**Warning.** The load and Prometheus differ by more than 10 %" in comment
    assert "| Requests per second | Before | 20/s | 15/s | **disagree** |" in comment


def test_the_report_says_when_they_agree_and_is_silent_where_prometheus_was_not_asked() -> None:
    recording = recorded()
    all_said(recording)
    assert "agree within 10 %" in render(view(recording, told))
    assert "Prometheus agrees with these figures within 10 %" in markdown(view(recording, told))
    for shown in (render(view(recorded(), told)), markdown(view(recorded(), told))):
        assert "Against Prometheus" not in shown


def test_a_prometheus_that_knows_nothing_of_the_system_is_warned_of() -> None:
    recording = recorded()
    all_said(recording, **dict.fromkeys(FIGURES, math.nan))
    assert "Prometheus knew none of these figures" in render(view(recording, told))
    assert "Prometheus knew none of these figures" in markdown(view(recording, told))


# -- the real server --------------------------------------------------------------------------------------------------


@pytest.mark.process
@pytest.mark.skipif(lacking() is not None, reason="no Prometheus here: apt-get install prometheus")
def test_each_figure_is_asked_for_each_stretch_of_the_run(prometheus: Running) -> None:
    recording = recorded()
    figures = {
        "request-rate": "sum(count_over_time(queue_depth[$window])) * 0 + 20",
        "error-share": "nothing_of_that_name",
        "ttft-p95": "sum(queue_depth) * 0 + 0.25",
        "ttft-bounds": BOUNDS,
    }

    async def work() -> None:
        client = Prometheus(prometheus.url, own=True)
        started = time.time() - 30.0
        for sample in await ask_figures(client, figures, EXPERIMENT_OF_30_S, recording, started_at=started, end=30.0):
            recording.add_sample(sample)
        client.close()

    asyncio.run(work())
    found = {(one.figure, one.stretch): one for one in compared(EXPERIMENT_OF_30_S, recording, end=30.0)}
    assert {stretch for _, stretch in found} == set(STRETCHES)
    whole = found["request-rate", "whole run"]
    assert (whole.ours, whole.theirs, whole.query) == (20.0, 20.0, figures["request-rate"])
    assert found["error-share", "whole run"].theirs is None
    assert found["ttft-p95", "whole run"].between == (0.25, math.inf)
