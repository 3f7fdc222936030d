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
        "backpressure_chain",
        "cache_stampede",
        "deadline_propagation",
        "emergency_tier",
        "failover_chain",
        "hysteresis_no_flapping",
        "noisy_neighbour",
        "retry_storm",
        "stale_cache_policy",
        "strict_policy_fails_fast",
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


def test_without_bulkheads_a_flood_of_free_users_makes_the_enterprise_ones_wait(chaos: Chaos) -> None:
    result = chaos.run("noisy_neighbour.yaml", *SCALE, "--set", "bulkhead=off")
    assert {("during", "compare"), ("during", "ttft"), ("during", "shed")} <= failed(result)
    assert result.of("during", "compare")["value"] > 3


def test_without_single_flight_a_stampede_reaches_the_provider(chaos: Chaos) -> None:
    result = chaos.run("cache_stampede.yaml", *SCALE, "--set", "singleflight=off")
    assert ("during", "retry_amplification") in failed(result)
    assert result.of("during", "retry_amplification")["value"] > 0.9


def test_without_backpressure_nobody_makes_way(chaos: Chaos) -> None:
    result = chaos.run("backpressure_chain.yaml", *SCALE, "--set", "backpressure=off")
    assert {("during", "detected"), ("during", "shed")} <= failed(result)
