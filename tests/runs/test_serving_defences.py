"""The experiments on the gateway's own defences: each passes, and fails by the right probe where one is missing."""

from pathlib import Path

import pytest

from tests.runs.commandline import EXPERIMENTS, Chaos, Result, fails

pytestmark = [pytest.mark.run, pytest.mark.long]

HALF = "0.5"
"""Of what is read once a second there must be enough to judge, and some of these loads are light."""


@pytest.mark.parametrize(
    "name",
    [
        "deadline_propagation",
        "emergency_tier",
        "failover_chain",
        "hysteresis_no_flapping",
        "retry_storm",
        "stale_cache_policy",
        "strict_policy_fails_fast",
    ],
)
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    chaos.run(f"{name}.yaml", scale=HALF)


def test_naive_retries_make_an_outage_a_storm(chaos: Chaos) -> None:
    def amplifies(result: Result) -> None:
        fails(("during", "retry_amplification"))(result)
        amplified = [
            one for one in result.verdict["checks"] if (one["block"], one["probe"]) == ("during", "retry_amplification")
        ]
        assert [(one["value"] or 0) > 2 for one in amplified] == [True, True]

    chaos.run_defenceless("retry_storm.yaml", "--set", "retry=naive", expect=amplifies, scale=HALF)


def test_without_service_modes_nobody_gets_an_answer_when_everything_is_dead(chaos: Chaos) -> None:
    expected = fails(("during", "availability"), ("during", "detected"))
    chaos.run_defenceless(
        "emergency_tier.yaml", "--set", "service-modes=off", "--no-abort", expect=expected, scale=HALF
    )


def test_without_deadlines_users_give_up_before_they_are_told_anything(chaos: Chaos) -> None:
    expected = fails(("during", "error_rate"))
    chaos.run("deadline_propagation.yaml", "--set", "deadline=off", expect=expected, scale=HALF)


def test_without_a_bound_on_their_age_cached_documents_grow_old(chaos: Chaos) -> None:
    expected = fails(("during", "staleness"))
    chaos.run_defenceless(
        "stale_cache_policy.yaml", "--set", "balanced.max-staleness=3600s", expect=expected, scale=HALF
    )


def test_without_hysteresis_the_service_flaps(chaos: Chaos) -> None:
    def flaps(result: Result) -> None:
        fails(("during", "metric"))(result)
        assert result.of("during", "metric")["value"] >= 6

    chaos.run_defenceless(
        "hysteresis_no_flapping.yaml", "--set", "hysteresis=off", "--no-abort", expect=flaps, scale=HALF
    )


def test_without_the_breaker_everyone_waits_for_the_one_that_hangs_before_the_last_is_asked(chaos: Chaos) -> None:
    expected = fails(("during", "breaker"), ("during", "ttft"))
    chaos.run_defenceless("failover_chain.yaml", "--set", "breaker=off", "--no-abort", expect=expected, scale=HALF)


def test_a_policy_that_allows_stand_ins_is_told_from_the_strict_one(chaos: Chaos, tmp_path: Path) -> None:
    text = (EXPERIMENTS / "strict_policy_fails_fast.yaml").read_text()
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text(text.replace("policy: strict", "policy: available"))
    chaos.run_defenceless(lenient, expect=fails(("during", "shed")), scale=HALF)


def test_an_answer_that_takes_its_time_is_no_quick_refusal(chaos: Chaos) -> None:
    slow = ("--set", "vector-db.timeout=30s", "--set", "breaker=off")
    expected = fails(("during", "error_rate"), ("during", "shed"))
    chaos.run_defenceless("strict_policy_fails_fast.yaml", *slow, expect=expected, scale=HALF)
