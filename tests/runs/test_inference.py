"""The experiments on the inference workers: each passes, and fails by the right probe where its defence is missing."""

import pytest

from tests.runs.commandline import FULL_LENGTH, Chaos

pytestmark = [pytest.mark.run, pytest.mark.long]

DEFENCELESS = ("--set", "failover=off", "--set", "replica-health=off", "--set", "breaker=off", "--no-abort")
"""Nothing keeps requests from a replica that cannot answer, and nothing else answers them."""


@pytest.mark.parametrize("name", ["inference_pod_kill", "gpu_oom"])
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    result = chaos.run(f"{name}.yaml", scale=FULL_LENGTH)

    assert (result.code, result.verdict["outcome"]) == (0, "passed"), result.verdict
    assert {one["outcome"] for one in result.verdict["checks"]} == {"passed"}


def test_without_failover_every_second_request_meets_the_killed_replica(chaos: Chaos) -> None:
    result = chaos.run("inference_pod_kill.yaml", *DEFENCELESS)

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert {("during", "availability"), ("during", "degradation")} & result.failed()
    assert result.of("during", "restart")["outcome"] == "passed"


def test_without_failover_a_dead_engine_is_an_outage_for_every_second_request(chaos: Chaos) -> None:
    result = chaos.run("gpu_oom.yaml", *DEFENCELESS)

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert {("during", "availability"), ("during", "degradation")} & result.failed()
