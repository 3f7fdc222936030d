"""Each shipped experiment passes on the reference stack, and fails by the right probe where its defence is missing."""

from pathlib import Path

import pytest

from tests.runs.commandline import EXPERIMENTS, Chaos

pytestmark = [pytest.mark.run, pytest.mark.long]


@pytest.mark.parametrize("name", ["cache_partition", "vector_db_latency", "vector_db_kill"])
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    result = chaos.run(f"{name}.yaml")

    assert (result.code, result.verdict["outcome"]) == (0, "passed"), result.verdict
    assert {one["outcome"] for one in result.verdict["checks"]} == {"passed"}


def test_without_the_breaker_everyone_waits_for_a_cache_that_is_gone(chaos: Chaos) -> None:
    result = chaos.run("cache_partition.yaml", "--set", "breaker=off")

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert {("during", "breaker"), ("during", "ttft")} <= result.failed()
    assert result.of("during", "availability")["outcome"] == "passed"


def test_without_the_breaker_retrieval_asks_a_slow_database_every_time(chaos: Chaos) -> None:
    result = chaos.run("vector_db_latency.yaml", "--set", "breaker=off")

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert ("during", "breaker") in result.failed()
    assert result.of("during", "disclosed")["outcome"] == "passed"


def test_without_the_fallback_ladder_a_killed_database_is_an_outage(chaos: Chaos) -> None:
    result = chaos.run("vector_db_kill.yaml", "--set", "fallbacks=off", "--no-abort")

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert ("during", "availability") in result.failed()
    assert result.of("during", "restart")["outcome"] == "passed"


def test_an_upload_that_is_acknowledged_before_it_is_stored_is_lost_with_the_database(chaos: Chaos) -> None:
    result = chaos.run("vector_db_kill.yaml", "--set", "ingest.durable=off")

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert {("after", "no_loss"), ("after", "read_your_writes")} <= result.failed()
    assert result.of("after", "no_duplicates")["outcome"] == "passed"


def test_a_database_that_does_not_come_back_in_time_fails_by_the_restart_probe(chaos: Chaos, tmp_path: Path) -> None:
    text = (EXPERIMENTS / "vector_db_kill.yaml").read_text()
    slow = tmp_path / "slow.yaml"
    slow.write_text(text.replace("delay: 8s", "delay: 60s"))

    result = chaos.run(slow)

    assert (result.code, result.verdict["outcome"]) == (1, "failed"), result.verdict
    assert ("during", "restart") in result.failed()
    assert result.of("during", "disclosed")["outcome"] == "passed"
