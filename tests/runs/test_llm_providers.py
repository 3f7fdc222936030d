"""The experiments on LLM providers: each passes, and fails by the right probe where its defence is missing."""

import contextlib
import re
import sqlite3

import pytest

from tests.runs.commandline import FULL_LENGTH, Chaos, Result, fails, passes

pytestmark = [pytest.mark.run, pytest.mark.long]

WORSE = [("during", "availability"), ("during", "degradation")]


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


def test_another_provider_takes_over_from_one_that_hangs(chaos: Chaos) -> None:
    def unnoticed(result: Result) -> None:
        passes(result)
        assert set(outcomes(result)) == {"ok"}
        assert failed_requests(result) >= 3

    chaos.run("llm_provider_outage.yaml", expect=unnoticed)


def test_without_failover_an_outage_degrades_the_answers(chaos: Chaos) -> None:
    chaos.run_defenceless("llm_provider_outage.yaml", "--set", "failover=off", "--no-abort", expect=fails(one_of=WORSE))


def test_without_the_breaker_everyone_waits_for_a_provider_that_hangs(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"), ("during", "ttft"))
    chaos.run_defenceless("llm_provider_outage.yaml", "--set", "breaker=off", "--no-abort", expect=expected)


def test_a_rate_limit_opens_no_breaker_and_the_provider_is_left_alone(chaos: Chaos) -> None:
    def hardly_asked(result: Result) -> None:
        passes(result)
        assert failed_requests(result) <= 20

    chaos.run("provider_rate_limit.yaml", expect=hardly_asked, scale=FULL_LENGTH)


def test_without_failover_a_rate_limit_degrades_the_answers(chaos: Chaos) -> None:
    def degrades(result: Result) -> None:
        fails(one_of=WORSE)(result)
        # A 429 is no verdict on the provider, however many there are.
        with contextlib.closing(sqlite3.connect(result.run / "evidence.sqlite")) as evidence:
            query = "SELECT count(*) FROM transition WHERE dependency = 'llm-primary' AND new = 'open'"
            assert evidence.execute(query).fetchone() == (0,)

    chaos.run_defenceless("provider_rate_limit.yaml", "--set", "failover=off", "--no-abort", expect=degrades)


def test_a_gateway_that_does_not_heed_retry_after_keeps_asking(chaos: Chaos) -> None:
    def asked_again_and_again(result: Result) -> None:
        fails(("during", "retry_amplification"))(result)
        assert failed_requests(result) >= 50

    chaos.run_defenceless("provider_rate_limit.yaml", "--set", "honour-retry-after=off", expect=asked_again_and_again)


def test_a_stalled_stream_ends_with_a_marked_error_and_the_next_ones_are_whole(chaos: Chaos) -> None:
    def marked(result: Result) -> None:
        passes(result)
        assert set(outcomes(result)) == {"ok", "error"}

    chaos.run("stream_stall.yaml", expect=marked)


def test_without_the_limit_between_tokens_a_stall_is_not_noticed_in_time(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"))
    chaos.run_defenceless("stream_stall.yaml", "--set", "llm.inter-token-timeout=600s", "--no-abort", expect=expected)


def test_without_the_breaker_every_stream_stalls(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"), ("during", "availability"))
    chaos.run_defenceless("stream_stall.yaml", "--set", "breaker=off", "--no-abort", expect=expected)


def test_a_standby_that_has_failed_is_known_before_it_is_needed(chaos: Chaos) -> None:
    def unnoticed(result: Result) -> None:
        passes(result)
        assert set(outcomes(result)) == {"ok"}

    chaos.run("warm_standby.yaml", expect=unnoticed)


def test_a_standby_without_a_share_fails_unnoticed(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"), spares=[("during", "degradation")])
    chaos.run_defenceless("warm_standby.yaml", "--set", "providers.shares=100/0/0", expect=expected)
