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
        "backpressure_chain",
        "cache_stampede",
        "corrupt_vectors",
        "deadline_propagation",
        "emergency_tier",
        "failover_chain",
        "feature_flag_outage",
        "hysteresis_no_flapping",
        "noisy_neighbour",
        "retry_storm",
        "semantic_cache_wrong_intent",
        "stale_cache_policy",
        "strict_policy_fails_fast",
        "tenant_isolation_under_failure",
        "tombstoned_document",
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


@pytest.mark.parametrize("tenant_filter", ["off", "fresh-only"])
def test_a_filter_that_is_missing_everywhere_or_on_the_stand_ins_alone_leaks(chaos: Chaos, tenant_filter: str) -> None:
    def leaks(result: Result) -> None:
        fails(("during", "isolation"))(result)
        assert result.of("during", "isolation")["value"] >= 5

    setting = f"tenant-filter={tenant_filter}"
    chaos.run_defenceless("tenant_isolation_under_failure.yaml", "--set", setting, expect=leaks, scale=HALF)


def test_without_the_last_known_flags_the_configured_policy_counts_and_refuses(chaos: Chaos) -> None:
    expected = fails(("during", "metric"), ("during", "availability"))
    chaos.run_defenceless("feature_flag_outage.yaml", "--set", "flags.last-known=off", expect=expected, scale=HALF)


def test_without_tombstones_copies_of_deleted_documents_are_served(chaos: Chaos) -> None:
    def serves(result: Result) -> None:
        fails(("during", "uncited"))(result)
        assert result.of("during", "uncited")["value"] >= 5

    chaos.run_defenceless("tombstoned_document.yaml", "--set", "tombstones=off", expect=serves, scale=HALF)


def test_without_a_quarantine_documents_with_corrupt_vectors_are_served(chaos: Chaos) -> None:
    def serves(result: Result) -> None:
        fails(("during", "uncited"), ("during", "detected"))(result)
        assert result.of("during", "uncited")["value"] >= 5

    chaos.run_defenceless("corrupt_vectors.yaml", "--set", "quarantine=off", expect=serves, scale=HALF)


def test_a_semantic_cache_that_looks_at_nothing_answers_other_questions_than_were_asked(chaos: Chaos) -> None:
    def misleads(result: Result) -> None:
        fails(("during", "quality"))(result)
        assert result.of("during", "quality")["value"] < 0.75

    careless = "semantic-cache=careless"
    chaos.run_defenceless("semantic_cache_wrong_intent.yaml", "--set", careless, expect=misleads, scale=HALF)


def test_without_bulkheads_a_flood_of_free_users_makes_the_enterprise_ones_wait(chaos: Chaos) -> None:
    def waits(result: Result) -> None:
        fails(("during", "compare"), ("during", "ttft"), ("during", "shed"))(result)
        assert result.of("during", "compare")["value"] > 3

    chaos.run("noisy_neighbour.yaml", "--set", "bulkhead=off", expect=waits, scale=HALF)


def test_without_single_flight_a_stampede_reaches_the_provider(chaos: Chaos) -> None:
    def stampedes(result: Result) -> None:
        fails(("during", "retry_amplification"))(result)
        assert result.of("during", "retry_amplification")["value"] > 0.75

    chaos.run("cache_stampede.yaml", "--set", "singleflight=off", expect=stampedes, scale=HALF)


def test_without_backpressure_nobody_makes_way(chaos: Chaos) -> None:
    expected = fails(("during", "detected"), ("during", "shed"))
    chaos.run("backpressure_chain.yaml", "--set", "backpressure=off", expect=expected, scale=HALF)
