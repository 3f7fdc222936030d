"""What holds for every probe."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout import registry
from brownout.evidence import Transition, Window
from brownout.parameters import parameters_of
from brownout.probe import Verdict
from tests.evidence.making import TRANSITIONS, window
from tests.probes.windows import shifted, windows

SENSIBLE: dict[str, dict[str, Any]] = {
    "availability": {"at_least": 0.99},
    "breaker": {"dependency": "vector-db", "becomes": "open", "within": 5.0},
    "degradation": {"level": 0, "within": 15.0},
    "disclosed": {},
    "recovered": {"ttft_p95": 0.5, "availability": 0.999, "within": 15.0},
    "restart": {"service": "vector-db", "within": 5.0},
    "total": {"p95": 2.0},
    "ttft": {"p95": 0.5},
}


@pytest.mark.parametrize("name", SENSIBLE)
def test_an_empty_window_is_inconclusive_and_says_why(name: str) -> None:
    verdict = registry.probes().get(name)(Window("", 0.0, 0.0, (), ()), **SENSIBLE[name])
    assert verdict.outcome == "inconclusive"
    assert verdict.why
    assert verdict.threshold


@pytest.mark.parametrize("name", SENSIBLE)
@given(given=windows(), history=st.lists(TRANSITIONS, max_size=6))
def test_the_same_evidence_gives_the_same_verdict(name: str, given: Window, history: list[Any]) -> None:
    probe = registry.probes().get(name)
    one, other = (window(given.requests, history=history) for _ in range(2))
    assert probe(one, **SENSIBLE[name]) == probe(other, **SENSIBLE[name])


@pytest.mark.parametrize("name", SENSIBLE)
@given(given=windows())
def test_when_in_the_run_it_was_makes_no_difference(name: str, given: Window) -> None:
    probe = registry.probes().get(name)
    history = [Transition(4.0, "vector-db", "closed", "open")]
    now = window(given.requests, history=history)
    assert probe(shifted(now, 1024.0), **SENSIBLE[name]) == probe(now, **SENSIBLE[name])


def test_every_parameter_is_documented(each_probe: Callable[..., Verdict]) -> None:
    assert all(parameter.doc for parameter in parameters_of(each_probe))


def test_every_probe_that_is_installed_is_tested_here() -> None:
    installed: registry.Registry[object] = registry.Registry.installed("probe", distribution="brownout")
    assert set(installed.names()) == set(SENSIBLE)
