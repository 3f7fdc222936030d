"""The experiments on LLM providers: each passes, and fails by the right probe where its defence is missing."""

import contextlib
import re
import sqlite3

import pytest

from tests.runs.commandline import FULL_LENGTH, Chaos, Result

pytestmark = [pytest.mark.run, pytest.mark.long]


def outcomes(result: Result) -> dict[str, int]:
    """How many requests ended how."""
    with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
        return dict(evidence.execute("SELECT outcome, count(*) FROM request GROUP BY outcome"))


def failed_requests(result: Result) -> int:
    """How many calls of the provider the fault has answered or broken."""
    with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
        works, proof = evidence.execute("SELECT works, proof FROM fault").fetchone()
    assert works == 1, proof
    found = re.search(r": (\d+) of \d+ requests that were meant failed", proof)
    assert found is not None, proof
    return int(found[1])


def passed(result: Result) -> None:
    assert (result.code, result.verdict["outcome"]) == (0, "passed"), result.verdict
    assert {one["outcome"] for one in result.verdict["checks"]} == {"passed"}


def failed(result: Result) -> set[tuple[str, str]]:
    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    return result.failed()


def test_another_provider_takes_over_from_one_that_hangs(chaos: Chaos) -> None:
    result = chaos.run("llm_provider_outage.yaml")
    passed(result)
    assert set(outcomes(result)) == {"ok"}
    assert failed_requests(result) >= 3


def test_without_failover_an_outage_degrades_the_answers(chaos: Chaos) -> None:
    result = chaos.run("llm_provider_outage.yaml", "--set", "failover=off", "--no-abort")
    assert {("during", "availability"), ("during", "degradation")} & failed(result)


def test_without_the_breaker_everyone_waits_for_a_provider_that_hangs(chaos: Chaos) -> None:
    result = chaos.run("llm_provider_outage.yaml", "--set", "breaker=off", "--no-abort")
    assert {("during", "breaker"), ("during", "ttft")} <= failed(result)


def test_a_rate_limit_opens_no_breaker_and_the_provider_is_left_alone(chaos: Chaos) -> None:
    result = chaos.run("provider_rate_limit.yaml", scale=FULL_LENGTH)
    passed(result)
    assert failed_requests(result) <= 20


def test_without_failover_a_rate_limit_degrades_the_answers(chaos: Chaos) -> None:
    result = chaos.run("provider_rate_limit.yaml", "--set", "failover=off", "--no-abort")
    assert {("during", "availability"), ("during", "degradation")} & failed(result)
    # A 429 is no verdict on the provider, however many there are.
    with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
        opened = evidence.execute("SELECT count(*) FROM transition WHERE dependency = 'llm-primary' AND new = 'open'")
        assert opened.fetchone() == (0,)


def test_a_gateway_that_does_not_heed_retry_after_keeps_asking(chaos: Chaos) -> None:
    result = chaos.run("provider_rate_limit.yaml", "--set", "honour-retry-after=off")
    assert ("during", "retry_amplification") in failed(result)
    assert failed_requests(result) >= 50


def test_a_stalled_stream_ends_with_a_marked_error_and_the_next_ones_are_whole(chaos: Chaos) -> None:
    result = chaos.run("stream_stall.yaml")
    passed(result)
    assert set(outcomes(result)) == {"ok", "error"}


def test_without_the_limit_between_tokens_a_stall_is_not_noticed_in_time(chaos: Chaos) -> None:
    result = chaos.run("stream_stall.yaml", "--set", "llm.inter-token-timeout=600s", "--no-abort")
    assert ("during", "breaker") in failed(result)


def test_without_the_breaker_every_stream_stalls(chaos: Chaos) -> None:
    result = chaos.run("stream_stall.yaml", "--set", "breaker=off", "--no-abort")
    assert {("during", "breaker"), ("during", "availability")} <= failed(result)
