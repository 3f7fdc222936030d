"""The figures behind the page's tables: error budget, comparison with the steady state, who was hit, what was met."""

import math
import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.errors import Location
from brownout.evidence.model import FaultSpan, Request, Transition
from brownout.evidence.recording import Recording
from brownout.experiment import Check
from brownout.probe import Verdict
from brownout.report.baseline import against_baseline, quantile_of, shift
from brownout.report.breakdown import MOST, REST, breakdown
from brownout.report.budget import Objective, alerts_of, budget_of, objective_of
from brownout.report.figures import AFTER, BEFORE, BROKEN, WHOLE, Part
from brownout.report.gauge import gauge
from brownout.report.html import render
from brownout.report.markdown import markdown
from brownout.report.thresholds import Deadline, deadlines, limits
from brownout.report.view import RunView, times
from brownout.report.worst import cases
from brownout.units import Share
from tests.evidence.making import request

Made = dict[str, Callable[..., Any]]
HERE = Location("experiment.yaml")


def view(told: Any, **changes: Any) -> RunView:
    return RunView(told.info, replace(told.experiment, **changes), told.recording, told.judgement)


def asked(count: int, *, bad: int = 0, start: float = 0.0, **values: Any) -> tuple[Request, ...]:
    return tuple(request(i, start + i * 0.05, outcome="error" if i < bad else "ok", **values) for i in range(count))


def check(probe: str, **arguments: object) -> Check:
    return Check(probe, arguments, probe, HERE)


# -- the error budget -------------------------------------------------------------------------------------------------


def test_an_outage_of_twenty_seconds_spends_twenty_seconds_of_the_month(made: Made) -> None:
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=0.999),))
    run = [Part(BEFORE, 10.0, asked(200)), Part(BROKEN, 20.0, asked(400, bad=400)), Part(AFTER, 30.0, asked(600))]
    found = budget_of(experiment, run, [request for part in run for request in part.requests])
    assert found is not None
    assert found.allowed == pytest.approx(43.2 * 60)
    broken, whole = found.burnt
    assert (broken.bad, broken.of, broken.rate, broken.spent) == (400, 400, pytest.approx(1000), pytest.approx(20))
    # At that rate the month's 43 min 12 s last as long as an outage may.
    assert broken.lasts == pytest.approx(43.2 * 60)
    assert whole.spent == pytest.approx(20)
    assert whole.of_month == pytest.approx(20 / (43.2 * 60))


def test_what_a_fault_cut_off_in_the_middle_is_spent_of_all_of_the_run_and_of_no_part(made: Made) -> None:
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=0.999),))
    run = [Part(BEFORE, 10.0, asked(190)), Part(BROKEN, 20.0, asked(400)), Part(AFTER, 30.0, asked(600))]
    under_way = asked(10, bad=8)
    found = budget_of(experiment, run, [*(request for part in run for request in part.requests), *under_way])
    assert found is not None
    assert [(one.name, one.bad, one.of) for one in found.burnt] == [(BROKEN, 0, 400), ("All of the run", 8, 1200)]


def test_a_run_in_which_all_went_well_spends_nothing(made: Made) -> None:
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=0.99),))
    found = budget_of(experiment, [Part(WHOLE, 10.0, asked(200))], asked(200))
    assert found is not None
    assert [(one.rate, one.spent, one.lasts) for one in found.burnt] == [(0, 0, None)]


def test_an_slo_check_says_what_a_good_request_is(made: Made) -> None:
    base = made["passed"]().experiment
    strict = replace(base, during=(check("slo", objective=0.99, ttft=0.5),))
    objective = objective_of(strict)
    assert objective == Objective(Share(0.99), ttft=0.5)
    assert objective.met_by(request(1, 0.0, ttft=0.4))
    assert not objective.met_by(request(1, 0.0, ttft=0.6))
    assert not objective.met_by(request(1, 0.0, outcome="cut"))


@pytest.mark.parametrize("share", [1.0, None])
def test_without_an_objective_or_with_one_of_a_hundred_percent_there_is_no_budget(
    share: float | None, made: Made
) -> None:
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=share),))
    assert budget_of(experiment, [Part(WHOLE, 10.0, asked(20))], asked(20)) is None
    assert "Error budget" not in render(view(made["passed"](), steady_state=experiment.steady_state))


def test_the_alerts_that_an_outage_would_have_raised_are_told_with_their_time_after_the_fault(made: Made) -> None:
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=0.999),))
    run = tuple(request(n, n / 20, total=0.05, outcome="error" if 200 <= n < 600 else "ok") for n in range(1200))

    alerts = alerts_of(experiment, run, fault_on=10.0, end=60.0, scale=1.0)

    assert alerts is not None
    fast, slow, ticket = alerts.watches
    # 14.4 × 0.1 % of 10 s at 20 requests/s: three bad requests, and the next look within the short window.
    assert fast.at is not None
    assert 10.1 < fast.at < 10.5
    assert fast.after == pytest.approx(fast.at - 10)
    assert (fast.long, round(fast.short, 3), fast.burn) == (10.0, 0.833, 14.4)
    assert (slow.name, slow.long, slow.short, ticket.name) == ("page", 60.0, 5.0, "ticket")
    assert ticket.at is not None
    assert alerts.first == fast


def test_answers_that_a_fault_cut_off_in_the_middle_raise_no_alert_before_it(made: Made) -> None:
    """They were asked before it was on; that they were lost is known when they ended."""
    experiment = replace(made["passed"]().experiment, steady_state=(check("availability", at_least=0.999),))
    run = tuple(request(n, n / 20, total=0.8, **({"outcome": "cut"} if 185 <= n < 200 else {})) for n in range(1200))

    alerts = alerts_of(experiment, run, fault_on=10.0, end=60.0, scale=1.0)

    assert alerts is not None
    assert alerts.first is not None
    assert alerts.first.after is not None
    assert alerts.first.after >= 0


def test_the_hour_of_the_alerts_is_what_an_slo_check_says_else_ten_seconds_scaled(made: Made) -> None:
    base = made["passed"]().experiment
    run = asked(400)
    stated = alerts_of(
        replace(base, during=(check("slo", objective=0.99, hour=4.0),)), run, fault_on=None, end=20.0, scale=0.5
    )
    usual = alerts_of(base, run, fault_on=None, end=20.0, scale=0.5)
    assert (stated and stated.hour, usual and usual.hour) == (4.0, 5.0)
    assert stated is not None
    assert stated.first is None


def test_the_report_says_which_alert_would_have_fired_and_when(made: Made) -> None:
    told = made["failed"]()
    page, comment = render(view(told)), markdown(view(told))
    assert "Who would have been called" in page
    assert "after the fault</small>" in page
    assert "The first alert, a page (14.4×), would have fired" in comment
    lenient = (check("availability", at_least=0.5),)
    assert "No burn-rate alert would have fired" in markdown(view(made["passed"](), steady_state=lenient))


def test_a_burn_rate_is_told_without_an_exponent() -> None:
    assert [times(rate) for rate in (0.5, 14.4, 99.4, 99.9, 1000.0, 123456.0)] == [
        "0.5×", "14.4×", "99.4×", "100×", "1000×", "123456×",
    ]  # fmt: skip


# -- against the steady state ------------------------------------------------------------------------------------------


@given(st.lists(st.floats(0, 100), min_size=20, max_size=300), st.sampled_from([0.5, 0.95]))
def test_a_quantile_lies_within_its_interval(values: list[float], q: float) -> None:
    found = quantile_of(sorted(values), q)
    assert found is not None
    assert found.value in values
    assert found.low is None or found.low <= found.value
    assert found.high is None or found.high >= found.value


def test_too_few_values_have_no_quantile_and_no_comparison() -> None:
    assert quantile_of([0.1] * 19, 0.5) is None
    assert quantile_of([0.1] * 99, 0.99) is None
    assert quantile_of([0.1] * 100, 0.99) is not None
    assert shift([0.1] * 19, [0.1] * 100) is None


def test_a_shift_is_told_in_both_directions_and_chance_is_not() -> None:
    draw = random.Random(1)
    slow, fast = (sorted(draw.gauss(mean, 0.05) for _ in range(200)) for mean in (0.4, 0.2))
    alike = sorted(draw.gauss(0.2, 0.05) for _ in range(200))
    slower, faster, same = shift(slow, fast), shift(fast, slow), shift(alike, fast)
    assert slower is not None
    assert faster is not None
    assert same is not None
    assert slower.verdict == "slower, large effect"
    assert slower.figures.endswith("p < 0.001")
    assert faster.verdict == "faster, large effect"
    assert faster.effect == pytest.approx(-slower.effect)
    assert same.verdict == "no clear difference"


def test_a_request_without_an_answer_is_infinitely_slow(made: Made) -> None:
    run = [Part(BEFORE, 10.0, asked(100)), Part(BROKEN, 10.0, asked(100, bad=60))]
    (_, (_, begun)), (_, (before, broken)) = against_baseline(run)
    # Each of them began: what never came is the end.
    assert begun.p50 is not None
    assert math.isfinite(begun.p50.value)
    assert before.shift is None
    assert broken.p50 is not None
    assert math.isinf(broken.p50.value)
    assert (str(broken.p50), broken.p50.interval) == ("∞", "") or broken.p50.interval.endswith("∞")
    assert broken.shift is not None
    assert broken.shift.verdict == "slower, large effect"


def test_a_run_without_a_fault_is_compared_with_nothing(made: Made) -> None:
    assert against_baseline([Part(WHOLE, 10.0, asked(100))]) == []
    assert "Against the steady state" not in render(view(made["inconclusive"]()))


# -- who was hit, and what they met ------------------------------------------------------------------------------------


def test_each_tier_has_its_own_figures_before_and_while_broken() -> None:
    run = [
        Part(BEFORE, 10.0, (*asked(30, tier="free"), *asked(10, tier="pro"))),
        Part(BROKEN, 10.0, (*asked(40, bad=40, tier="free"), *asked(20, tier="pro"))),
    ]
    tiers = dict(breakdown(run))["Tier"]
    assert [(one.name, one.broken.requests, one.broken.availability) for one in tiers] == [
        ("free", 40, 0.0),
        ("pro", 20, 1.0),
    ]
    assert [one.before and one.before.requests for one in tiers] == [30, 10]


def test_of_many_values_the_small_ones_are_told_together() -> None:
    requests = tuple(one for i in range(20) for one in asked(20 - i, tier=f"tier {i}"))
    tiers = dict(breakdown([Part(WHOLE, 10.0, requests)]))["Tier"]
    assert len(tiers) == MOST + 1
    assert tiers[-1].name == REST
    assert sum(one.broken.requests for one in tiers) == len(requests)


def test_a_request_is_told_with_the_faults_and_breakers_that_it_met() -> None:
    recording = Recording()
    recording.add_fault(FaultSpan(0, "partition", "partition a → b", 10.0, 20.0))
    recording.add_fault(FaultSpan(1, "latency", "latency a → c", 40.0, 50.0))
    recording.add_transition(Transition(0.0, "b", None, "closed"))
    recording.add_transition(Transition(0.0, "c", None, "open"))
    recording.add_transition(Transition(11.0, "b", "closed", "open"))
    one = request(1, 9.5, ttft=1.0, total=2.0, attempts={"b": 3, "llm": 1})
    (case,) = cases([replace(one, retrieval="keyword")], recording)
    assert case.met[:4] == (
        "c breaker open",
        "partition a → b on after 500 ms",
        "b breaker open after 1.5 s",
        "b called 3×",
    )
    assert "retrieval keyword" in case.met
    (before,) = cases([request(2, 1.0, ttft=0.1, total=0.2)], recording)
    assert not any("partition" in one for one in before.met)


def test_what_was_under_way_as_the_fault_came_on_is_counted_in_no_part(made: Made) -> None:
    told = made["passed"]()
    shown = view(told)
    on = told.recording.faults[0].on
    assert shown.parts[0].seconds == on
    began = told.experiment.first_fault
    met = [r for r in told.recording.requests if r.intended < on and (r.done is None or r.done > began)]
    assert shown.under_way == len(met) > 0
    assert shown.between == 0
    assert {r.id for r in met}.isdisjoint(r.id for r in shown.parts[0].requests)
    assert f"{len(met)} questions were under way as the fault came on" in render(shown)


# -- thresholds on the timeline ----------------------------------------------------------------------------------------


def test_a_limit_is_drawn_where_it_is_asked_for_and_nowhere_else(made: Made) -> None:
    told = made["passed"]()
    experiment = replace(
        told.experiment,
        steady_state=(check("ttft", p95=0.5),),
        during=(check("availability", at_least=0.9), check("ttft", p50=0.3, p95=None)),
        after=(check("recovered", ttft_p95=0.6, within=15.0),),
    )
    before, during, after = limits(experiment, told.recording, end=60)
    assert (str(before), str(during), str(after)) == ("p95 500 ms", "p50 300 ms", "p95 600 ms")
    assert (during.start, during.end) == (after.start - (30.05 - 10.02), after.start) == (10.02, 30.05)
    assert limits(replace(experiment, during=()), told.recording, end=60) == [before, after]
    drawn = render(view(told, steady_state=experiment.steady_state, during=experiment.during))
    assert "asked for: p50 300 ms</title>" in drawn
    assert ">p50 300 ms</text>" in drawn


def test_by_when_a_breaker_was_to_move_stands_in_its_row(made: Made) -> None:
    told = made["passed"]()
    during = (
        check("breaker", dependency="vector-db", becomes="open", within=5.0),
        check("breaker", dependency="cache"),
    )
    after = (check("breaker", dependency="vector-db", becomes="closed", within=15.0),)
    experiment = replace(told.experiment, during=during, after=after)
    assert deadlines(experiment, told.recording, end=60) == [
        Deadline("vector-db", "open", 15.02),
        Deadline("vector-db", "closed", 45.05),
    ]
    drawn = render(view(told, during=during, after=after))
    assert drawn.count("open asked for by 15.02 s") == 2
    assert drawn.count("closed asked for by 45.05 s") == 2
    assert deadlines(experiment, Recording(), end=60) == []


# -- the small pictures ------------------------------------------------------------------------------------------------


def test_a_gauge_shows_figure_interval_and_threshold_in_order() -> None:
    drawn = gauge(
        Verdict("failed", "97 %", "at least 99 %", 400, value=0.97, limit=0.99, unit="share", low=0.95, high=0.98)
    )
    assert "97.0 %, 95 % interval 95.0 % to 98.0 %; threshold 99.0 %" in drawn
    assert drawn.index("gauge-interval") < drawn.index("gauge-limit") < drawn.index("gauge-value")


@given(
    st.floats(-1e6, 1e6),
    st.floats(-1e6, 1e6),
    st.none() | st.floats(-1e6, 1e6),
    st.none() | st.floats(-1e6, 1e6),
    st.sampled_from(["", "s", "share", "USD"]),
)
def test_a_gauge_of_any_figures_stays_within_its_frame(
    value: float, limit: float, low: float | None, high: float | None, unit: str
) -> None:
    if unit == "share":
        value, limit = abs(value) / 1e6, abs(limit) / 1e6
        low = None if low is None else min(abs(low) / 1e6, value)
        high = None if high is None else max(abs(high) / 1e6, value)
    drawn = gauge(Verdict("passed", "", "", 1, value=value, limit=limit, unit=unit, low=low, high=high))
    x = float(drawn.split('cx="')[1].split('"')[0])
    assert 4.9 <= x <= 175.1


def test_a_verdict_without_numbers_has_no_gauge() -> None:
    assert gauge(Verdict("passed", "closed", "closed", 1)) == ""
    assert gauge(Verdict("inconclusive", "–", "x", 0, limit=1.0)) == ""


def test_the_command_to_run_it_again_has_the_seed_that_was_drawn(made: Made) -> None:
    told = made["passed"]()
    drawn = replace(told, info=replace(told.info, command=("chaos", "run", "a b.yaml"), seed=99))
    assert view(drawn).command == "chaos run 'a b.yaml' --seed 99"
    assert view(told).command.count("--seed") == 1
    assert view(replace(told, info=replace(told.info, command=()))).command == ""
