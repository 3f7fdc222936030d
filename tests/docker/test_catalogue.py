"""Each shipped experiment that the docker target supports passes on it, shortened."""

import re
from pathlib import Path

import pytest

from brownout.prepare import RunOptions, check
from tests.docker.helpers import left
from tests.runs.commandline import EXPERIMENTS, FULL_LENGTH, SCALE, Chaos

pytestmark = [pytest.mark.run, pytest.mark.usefixtures("images")]
UNSUPPORTED = {"gpu_oom": "service.exhaust_gpu_memory"}
"""What of the catalogue it cannot do, and why."""
HALF = "0.5"
SCALES = dict.fromkeys(("inference_pod_kill", "provider_rate_limit"), FULL_LENGTH) | dict.fromkeys(
    (
        *("backpressure_chain", "cache_stampede", "feature_flag_outage", "noisy_neighbour", "retry_storm"),
        *("semantic_cache_wrong_intent", "tenant_isolation_under_failure", "warm_standby"),
    ),
    HALF,
)
"""Of those that cannot do with a quarter: what breaks at once is too much of it, or what is counted too little."""
NAMES = sorted(path.stem for path in EXPERIMENTS.glob("*.yaml") if path.stem not in UNSUPPORTED)


def shortened(name: str, folder: Path) -> Path:
    """The experiment; one that is run at full length waits less before its fault and after it, as long during it."""
    path = EXPERIMENTS / f"{name}.yaml"
    if SCALES.get(name) != FULL_LENGTH:
        return path
    text, durations = re.subn(r"^duration: 60s$", "duration: 40s", path.read_text(), flags=re.M)
    text, leads = re.subn(r"^    at: 10s$", "    at: 5s", text, flags=re.M)
    assert (durations, leads) == (1, 1), path
    folder.mkdir(exist_ok=True)
    short = folder / path.name
    short.write_text(text)
    return short


@pytest.fixture
def chaos(tmp_path: Path) -> Chaos:
    return Chaos(tmp_path / "work")


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_shipped_experiment_passes(chaos: Chaos, name: str) -> None:
    chaos.run(shortened(name, chaos.folder), "--target", "docker", scale=SCALES.get(name, SCALE))

    assert left(by=[one.process.pid for one in chaos.started]) == []


@pytest.mark.parametrize(("name", "what"), UNSUPPORTED.items())
def test_what_it_cannot_do_is_refused_by_name_before_anything_starts(chaos: Chaos, name: str, what: str) -> None:
    code, _, said = chaos("run", str(EXPERIMENTS / f"{name}.yaml"), "--target", "docker")

    assert code == 2
    assert f"target 'docker' cannot do {what}" in said


def test_every_other_experiment_is_valid_for_it() -> None:
    for name in NAMES:
        assert check(EXPERIMENTS / f"{name}.yaml", RunOptions(target="docker")) == "docker"
