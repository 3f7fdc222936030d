"""Error budgets, burn rates, and the alerts of the SRE workbook on a run's scale."""

import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Request, Window
from brownout.probes.slo import slo
from brownout.reader import parse_experiment
from brownout.slo import ALERTS, Alert, budget, burn_rate, first_firing, spoilt_by
from brownout.units import Duration, Latency, Share
from tests.evidence.making import request, window
from tests.probes.windows import MOMENTS, never_better_for_a_bad_one, windows

OBJECTIVES = st.sampled_from([0.5, 0.9, 0.99, 0.999]).map(Share)


def test_a_months_budget_is_what_the_workbook_says() -> None:
    assert budget(Share(0.999)) == pytest.approx(43.2 * 60)
    assert budget(Share(0.99)) == pytest.approx(7.2 * 3600)


def test_each_alert_fires_at_its_share_of_a_months_budget() -> None:
    # 2 %, 5 % and 10 %: the table of chapter 5.
    spent = [alert.burn * alert.long * 3600 * 0.001 / budget(Share(0.999)) for alert in ALERTS]
    assert spent == pytest.approx([0.02, 0.05, 0.1])


@given(windows(), OBJECTIVES, st.sampled_from([1.0, 6.0, 14.4]))
def test_the_burn_rate_is_the_share_of_bad_requests_over_the_share_allowed(
    given: Window, objective: Share, most: float
) -> None:
    verdict = slo(given, objective=objective, ttft=Latency(0.25), burn_at_most=most)
    bad = [each for each in given.requests if each.outcome != "ok" or each.ttft is None or each.ttft > 0.25]
    if len(given.requests) < 20:
        assert verdict.outcome == "inconclusive"
        return
    assert verdict.value == pytest.approx(len(bad) / len(given.requests) / (1 - objective))
    assert verdict.outcome == ("passed" if verdict.value <= most else "failed")


@given(windows(), MOMENTS, OBJECTIVES)
def test_a_failed_request_never_makes_it_pass(given: Window, at: float, objective: Share) -> None:
    bad = request(999, at, outcome="error")
    never_better_for_a_bad_one(slo, given, bad, objective=objective, burn_at_most=2.0)
    never_better_for_a_bad_one(slo, given, bad, objective=objective, spends_at_most=Duration(3.0))
    never_better_for_a_bad_one(slo, given, bad, objective=objective, alert="none", hour=Duration(20.0))


def outage(*, start: float, end: float, until: float = 60.0) -> list[Request]:
    """20 requests a second, none of which is answered in a stretch."""
    return [
        request(n, at, outcome="error" if start <= at < end else "ok")
        for n, at in enumerate(n / 20 for n in range(int(until * 20)))
    ]


def test_what_a_run_spends_is_told_in_minutes_of_a_month() -> None:
    given = window(outage(start=10.0, end=40.0), end=60.0)
    verdict = slo(given, objective=Share(0.999), spends_at_most=Duration(20.0))
    assert (verdict.outcome, verdict.value, verdict.limit, verdict.unit) == ("failed", 30.0, 20.0, "s")
    assert verdict.figure == "burning 500×, 0.5 of 43.2 min of a 30-day month spent"
    assert slo(given, objective=Share(0.999), spends_at_most=Duration(30.0)).outcome == "passed"


def test_an_outage_pages_soon_and_a_healthy_window_never() -> None:
    broken = window(outage(start=0.0, end=60.0), end=60.0)
    verdict = slo(broken, objective=Share(0.999), alert="page", within=Duration(2.0))
    assert verdict.outcome == "passed"
    assert verdict.value is not None
    assert verdict.value < 1.0
    assert slo(broken, objective=Share(0.999), alert="none").outcome == "failed"
    well = window(outage(start=0.0, end=0.0), end=60.0)
    assert slo(well, objective=Share(0.999), alert="none").outcome == "passed"
    assert slo(well, objective=Share(0.999), alert="page").outcome == "failed"


def test_a_slow_leak_raises_a_ticket_and_no_page() -> None:
    leak = [request(n, n / 20, outcome="error" if n % 400 == 399 else "ok") for n in range(20 * 300)]
    given = window(leak, end=300.0)
    assert slo(given, objective=Share(0.999), alert="ticket").outcome == "passed"
    assert slo(given, objective=Share(0.999), alert="page").outcome == "failed"


def brute_force(alert: Alert, requests: list[Request], *, objective: float, hour: float, unseen: float) -> float | None:
    """The same definition, by counting anew at each look."""
    every = alert.short * hour / 5
    looks = [n * every for n in range(1, math.ceil(10.0 / every))] + [10.0]
    for now in looks:
        burns = []
        for span in (alert.long * hour, alert.short * hour):
            inside = [each for each in requests if now - span <= each.intended < now]
            asked = len(inside) + unseen * max(span - now, 0.0)
            bad = sum(each.outcome != "ok" for each in inside)
            burns.append(bad / asked / (1 - objective) if asked else 0.0)
        if min(burns) >= alert.burn:
            return now
    return None


@given(
    windows(), st.sampled_from(ALERTS[:2]), OBJECTIVES, st.sampled_from([2.0, 6.0, 30.0]), st.sampled_from([0.0, 4.0])
)
def test_an_alert_fires_when_both_windows_burn(
    given: Window, alert: Alert, objective: Share, hour: float, unseen: float
) -> None:
    at = first_firing(
        alert,
        given.requests.intended,
        spoilt_by([outcome != "ok" for outcome in given.requests.outcome]),
        objective=objective,
        start=0.0,
        end=10.0,
        hour=hour,
        unseen=unseen,
    )
    assert at == brute_force(alert, list(given.requests), objective=objective, hour=hour, unseen=unseen)


def test_too_little_traffic_for_an_alerts_windows_tells_nothing() -> None:
    few = window(outage(start=0.0, end=60.0), end=60.0)
    assert slo(few, objective=Share(0.999), alert="page", hour=Duration(0.1)).outcome == "inconclusive"
    assert slo(window(), objective=Share(0.999), alert="none").outcome == "inconclusive"


def test_what_stands_for_an_hour_shrinks_with_the_run_stated_or_not() -> None:
    text = """\
title: T
hypothesis: H
load: {rate: 20/s}
steady-state: [{slo: {objective: 99.9%, alert: none}}, {slo: {objective: 99.9%, alert: none, hour: 30s}}]
method: [{partition: {from: gateway, to: cache}, at: 10s, for: 10s}]
expect: {during: [{availability: {at-least: 99%}}]}
"""
    hours = [check.arguments["hour"] for check in parse_experiment(text, file="t.yaml").scaled(0.5).steady_state]
    assert hours == [5.0, 15.0]


def test_all_or_nothing_has_no_budget() -> None:
    with pytest.raises(ValueError, match="no error budget"):
        burn_rate(1, 2, Share(1.0))
    assert burn_rate(0, 0, Share(0.9)) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [
        {"objective": 0.999},
        {"objective": 1.0, "burn_at_most": 1.0},
        {"objective": 0.999, "burn_at_most": 1.0, "alert": "page"},
        {"objective": 0.999, "burn_at_most": 0.0},
        {"objective": 0.999, "alert": "none", "within": 1.0},
        {"objective": 0.999, "alert": "page", "hour": 0.0},
    ],
)
def test_arguments_that_make_no_sense_are_refused_on_an_empty_window(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"exactly one|no budget|above 0|goes with"):
        slo(window(), **arguments)
