"""The experiments on the inference workers: each passes, and fails by the right probe where its defence is missing."""

import pytest

from tests.runs.commandline import FULL_LENGTH, Chaos, fails

pytestmark = [pytest.mark.run, pytest.mark.long]

DEFENCELESS = ("--set", "failover=off", "--set", "replica-health=off", "--set", "breaker=off", "--no-abort")
"""Nothing keeps requests from a replica that cannot answer, and nothing else answers them."""
WORSE = [("during", "availability"), ("during", "degradation")]


@pytest.mark.parametrize("name", ["inference_pod_kill", "gpu_oom"])
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    chaos.run(f"{name}.yaml", scale=FULL_LENGTH)


def test_without_failover_every_second_request_meets_the_killed_replica(chaos: Chaos) -> None:
    expected = fails(one_of=WORSE, spares=[("during", "restart")])
    chaos.run_defenceless("inference_pod_kill.yaml", *DEFENCELESS, expect=expected)


def test_without_failover_a_dead_engine_is_an_outage_for_every_second_request(chaos: Chaos) -> None:
    chaos.run_defenceless("gpu_oom.yaml", *DEFENCELESS, expect=fails(one_of=WORSE))
