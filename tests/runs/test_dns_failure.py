"""The experiment on a provider's name: it passes, and fails by the right probe where a defence is missing."""

import contextlib
import sqlite3

import pytest

from tests.runs.commandline import Chaos, Result, fails

pytestmark = [pytest.mark.run, pytest.mark.long]


def proof(result: Result) -> str:
    """What the fault is proved by."""
    with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
        works, told = evidence.execute("SELECT works, proof FROM fault").fetchone()
    assert works == 1, told
    return str(told)


def test_another_provider_takes_over_from_one_whose_name_does_not_resolve(chaos: Chaos) -> None:
    result = chaos.run("dns_failure.yaml")
    assert "queries for its name failed or were late" in proof(result)


def test_without_failover_a_name_that_does_not_resolve_degrades_the_answers(chaos: Chaos) -> None:
    expected = fails(("during", "failover"), one_of=[("during", "availability"), ("during", "degradation")])
    chaos.run_defenceless("dns_failure.yaml", "--set", "failover=off", "--no-abort", expect=expected)


def test_without_the_breaker_the_name_is_asked_for_again_and_again(chaos: Chaos) -> None:
    # A failure that is known is a quick one: users notice nothing.
    expected = fails(("during", "breaker"), spares=[("during", "availability")])
    chaos.run_defenceless("dns_failure.yaml", "--set", "breaker=off", "--no-abort", expect=expected)
