"""What holds for every probe."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout import registry
from brownout.evidence import Requests, Transition, Window
from brownout.parameters import parameters_of
from brownout.probe import Verdict
from tests.evidence.making import TRANSITIONS, window
from tests.probes.windows import shifted, windows

SENSIBLE: dict[str, dict[str, Any]] = {
    "availability": {"at_least": 0.99},
    "breaker": {"dependency": "vector-db", "becomes": "open", "within": 5.0},
    "compare": {"measure": "total", "p95": 1.5},
    "cost": {"at_most": 0.005},
    "degradation": {"level": 0, "within": 15.0},
    "detected": {"within": 5.0},
    "disclosed": {},
    "endpoints": {"service": "inference", "at_least": 2},
    "error_rate": {"at_most": 0.01},
    "failover": {"within": 5.0},
    "goodput": {"share": 0.95, "ttft": 0.5},
    "isolation": {},
    "metric": {"name": "answers_total", "value": "increase", "at_least": 20.0},
    "no_duplicates": {},
    "no_loss": {},
    "oom_handled": {"service": "inference-1", "within": 5.0},
    "quality": {"faithfulness": 0.82},
    "read_your_writes": {},
    "recovered": {"ttft_p95": 0.5, "availability": 0.999, "within": 15.0},
    "restart": {"service": "vector-db", "within": 5.0},
    "retry_amplification": {"to": "llm-*", "at_most": 1.5},
    "scaled_out": {"service": "inference", "to": 3, "within": 5.0},
    "service_state": {"service": "vector-db", "state": "ready", "within": 5.0},
    "shed": {"tier": "pro", "at_most": 0.05},
    "slo": {"objective": 0.999, "burn_at_most": 14.4},
    "staleness": {"at_most": 60.0},
    "total": {"p95": 2.0},
    "tpot": {"p95": 0.05},
    "ttft": {"p95": 0.5},
    "uncited": {"documents": "*-charges-*"},
}


@pytest.mark.parametrize("name", SENSIBLE)
def test_an_empty_window_is_inconclusive_and_says_why(name: str) -> None:
    verdict = registry.probes().get(name)(Window("", 0.0, 0.0, Requests.of(), ()), **SENSIBLE[name])
    assert verdict.outcome == "inconclusive"
    assert verdict.why
    assert verdict.threshold


@given(given=windows(), history=st.lists(TRANSITIONS, max_size=6))
def test_the_same_evidence_gives_the_same_verdict(given: Window, history: list[Any]) -> None:
    one, other = (window(given.requests, history=history) for _ in range(2))
    for name, arguments in SENSIBLE.items():
        probe = registry.probes().get(name)
        assert probe(one, **arguments) == probe(other, **arguments)


@given(given=windows())
def test_when_in_the_run_it_was_makes_no_difference(given: Window) -> None:
    now = window(given.requests, history=[Transition(4.0, "vector-db", "closed", "open")])
    later = shifted(now, 1024.0)
    for name, arguments in SENSIBLE.items():
        probe = registry.probes().get(name)
        assert probe(later, **arguments) == probe(now, **arguments)


@given(given=windows())
def test_a_figure_lies_within_its_interval_and_its_margin_tells_whether_it_passed(given: Window) -> None:
    for name, arguments in SENSIBLE.items():
        verdict = registry.probes().get(name)(given, **arguments)
        if verdict.value is not None:
            assert verdict.low is None or verdict.low <= verdict.value + 1e-9
            assert verdict.high is None or verdict.value <= verdict.high + 1e-9
        if verdict.margin:
            assert (verdict.margin > 0) == (verdict.outcome == "passed")


def test_every_parameter_is_documented(each_probe: Callable[..., Verdict]) -> None:
    assert all(parameter.doc for parameter in parameters_of(each_probe))


def test_every_probe_that_is_installed_is_tested_here() -> None:
    installed: registry.Registry[object] = registry.Registry.installed("probe", distribution="brownout")
    assert set(installed.names()) == set(SENSIBLE)
