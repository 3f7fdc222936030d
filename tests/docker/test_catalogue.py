"""Each shipped experiment that the docker target supports passes on it, shortened."""

from pathlib import Path

import pytest

from brownout.prepare import check
from tests.docker.helpers import left
from tests.runs.commandline import EXPERIMENTS, FULL_LENGTH, SCALE, Chaos

pytestmark = [pytest.mark.run, pytest.mark.usefixtures("images")]
HALF = "0.5"
UNSUPPORTED = {"gpu_oom": "service.exhaust_gpu_memory"}
"""What of the catalogue it cannot do, and why."""
FIRST = ("vector_db_partition", "vector_db_kill", "cache_partition", "dns_failure", "llm_provider_outage")
"""One for each way in which a container or its links are broken: the others break what these do."""
SCALES = {"inference_pod_kill": FULL_LENGTH, "provider_rate_limit": FULL_LENGTH} | dict.fromkeys(
    (*FIRST, "vector_db_latency"), SCALE
)
"""Of those that need more, or that can do with less, than half their length."""
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml") if path.stem not in UNSUPPORTED)


def marked(name: str) -> object:
    marks = [pytest.mark.long] if name in FIRST else [pytest.mark.long, pytest.mark.catalogue]
    return pytest.param(name, marks=marks)


@pytest.fixture
def chaos(tmp_path: Path) -> Chaos:
    return Chaos(tmp_path / "work")


@pytest.mark.parametrize("name", [marked(name) for name in NAMES])
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    before = left()

    chaos.run(f"{name}.yaml", "--target", "docker", scale=SCALES.get(name, HALF))

    assert left() == before


@pytest.mark.parametrize(("name", "what"), UNSUPPORTED.items())
def test_what_it_cannot_do_is_refused_by_name_before_anything_starts(chaos: Chaos, name: str, what: str) -> None:
    code, _, said = chaos("run", str(EXPERIMENTS / f"{name}.yaml"), "--target", "docker")

    assert code == 2
    assert f"target 'docker' cannot do {what}" in said


def test_every_other_experiment_is_valid_for_it() -> None:
    for name in NAMES:
        assert check(EXPERIMENTS / f"{name}.yaml", target="docker") == "docker"
