"""The experiments on the gateway's own defences: each passes, and fails by the right probe where one is missing."""

from pathlib import Path

import pytest

from tests.runs.commandline import EXPERIMENTS, Chaos, Result

pytestmark = [pytest.mark.run, pytest.mark.long]

SCALE = ("--scale", "0.5")
"""Of what is read once a second there must be enough to judge, and some of these loads are light."""


def failed(result: Result) -> set[tuple[str, str]]:
    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    return result.failed()


@pytest.mark.parametrize(
    "name",
    [
        "deadline_propagation",
        "emergency_tier",
        "failover_chain",
        "feature_flag_outage",
        "hysteresis_no_flapping",
        "retry_storm",
        "stale_cache_policy",
        "strict_policy_fails_fast",
        "tenant_isolation_under_failure",
        "tombstoned_document",
    ],
)
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    result = chaos.run(f"{name}.yaml", *SCALE)
    assert (result.code, result.verdict["outcome"]) == (0, "passed"), result.verdict
    assert {one["outcome"] for one in result.verdict["checks"]} == {"passed"}


def test_naive_retries_make_an_outage_a_storm(chaos: Chaos) -> None:
    result = chaos.run("retry_storm.yaml", *SCALE, "--set", "retry=naive")
    assert ("during", "retry_amplification") in failed(result)
    amplified = [
        one for one in result.verdict["checks"] if (one["block"], one["probe"]) == ("during", "retry_amplification")
    ]
    assert [one["value"] > 2 for one in amplified] == [True, True]


def test_without_service_modes_nobody_gets_an_answer_when_everything_is_dead(chaos: Chaos) -> None:
    result = chaos.run("emergency_tier.yaml", *SCALE, "--set", "service-modes=off", "--no-abort")
    assert {("during", "availability"), ("during", "detected")} <= failed(result)


def test_without_deadlines_users_give_up_before_they_are_told_anything(chaos: Chaos) -> None:
    result = chaos.run("deadline_propagation.yaml", *SCALE, "--set", "deadline=off")
    assert ("during", "error_rate") in failed(result)


def test_without_a_bound_on_their_age_cached_documents_grow_old(chaos: Chaos) -> None:
    result = chaos.run("stale_cache_policy.yaml", *SCALE, "--set", "balanced.max-staleness=3600s")
    assert ("during", "staleness") in failed(result)


def test_without_hysteresis_the_service_flaps(chaos: Chaos) -> None:
    result = chaos.run("hysteresis_no_flapping.yaml", *SCALE, "--set", "hysteresis=off", "--no-abort")
    assert ("during", "metric") in failed(result)
    assert result.of("during", "metric")["value"] >= 6


def test_without_the_breaker_everyone_waits_for_the_one_that_hangs_before_the_last_is_asked(chaos: Chaos) -> None:
    result = chaos.run("failover_chain.yaml", *SCALE, "--set", "breaker=off", "--no-abort")
    assert {("during", "breaker"), ("during", "ttft")} <= failed(result)


def test_a_policy_that_allows_stand_ins_is_told_from_the_strict_one(chaos: Chaos, tmp_path: Path) -> None:
    text = (EXPERIMENTS / "strict_policy_fails_fast.yaml").read_text()
    lenient = tmp_path / "lenient.yaml"
    lenient.write_text(text.replace("policy: strict", "policy: available"))
    result = chaos.run(lenient, *SCALE)
    assert ("during", "shed") in failed(result)


def test_an_answer_that_takes_its_time_is_no_quick_refusal(chaos: Chaos) -> None:
    result = chaos.run(
        "strict_policy_fails_fast.yaml", *SCALE, "--set", "vector-db.timeout=30s", "--set", "breaker=off"
    )
    assert {("during", "error_rate"), ("during", "shed")} <= failed(result)


@pytest.mark.parametrize("tenant_filter", ["off", "fresh-only"])
def test_a_filter_that_is_missing_everywhere_or_on_the_stand_ins_alone_leaks(chaos: Chaos, tenant_filter: str) -> None:
    result = chaos.run("tenant_isolation_under_failure.yaml", *SCALE, "--set", f"tenant-filter={tenant_filter}")
    assert ("during", "isolation") in failed(result)
    assert result.of("during", "isolation")["value"] >= 5


def test_without_the_last_known_flags_the_configured_policy_counts_and_refuses(chaos: Chaos) -> None:
    result = chaos.run("feature_flag_outage.yaml", *SCALE, "--set", "flags.last-known=off")
    assert {("during", "metric"), ("during", "availability")} <= failed(result)


def test_without_tombstones_copies_of_deleted_documents_are_served(chaos: Chaos) -> None:
    result = chaos.run("tombstoned_document.yaml", *SCALE, "--set", "tombstones=off")
    assert ("during", "uncited") in failed(result)
    assert result.of("during", "uncited")["value"] >= 5
