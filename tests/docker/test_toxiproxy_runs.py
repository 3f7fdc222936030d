"""Whole runs through a Toxiproxy container, and what is left of one that was killed."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from brownout.cli.heal import heal
from brownout.fixtures.docker import engine
from brownout.fixtures.docker.images import Images, variable_of
from brownout.ledger import Ledger
from tests import doomed
from tests.docker.helpers import left
from tests.runs.commandline import EXPERIMENTS, SCALE, Chaos, fails

PATIENCE = 20.0
THROUGH = ("--target", "docker", "--proxy", "toxiproxy")
HALF = "0.5"
CONTAINERS_NETWORK_AND_VOLUME = 9


@pytest.fixture(scope="module", autouse=True)
def toxiproxy_image(images: None) -> None:
    """An image of Toxiproxy that is there, since no registry can be counted on."""
    image = Images.chosen().toxiproxy
    with contextlib.closing(engine.connect()) as client:
        if not client.images.list(image):
            pytest.skip(f"no image {image}, and no Go to make one with; {variable_of('toxiproxy')} names another")


@pytest.fixture
def chaos(tmp_path: Path) -> Chaos:
    return Chaos(tmp_path / "work")


@pytest.mark.run
@pytest.mark.long
@pytest.mark.parametrize(("name", "scale"), [("vector_db_partition", SCALE), ("vector_db_latency", HALF)])
def test_a_shipped_experiment_passes_through_toxiproxy(chaos: Chaos, name: str, scale: str) -> None:
    result = chaos.run(f"{name}.yaml", *THROUGH, scale=scale)

    report = (result.run / "report.html").read_text()
    assert "canaries" in report


@pytest.mark.run
@pytest.mark.long
def test_without_the_fallback_ladder_it_fails(chaos: Chaos) -> None:
    expected = fails(("during", "availability"))
    options = ("--set", "fallbacks=off", "--no-abort")

    chaos.run_defenceless("vector_db_partition.yaml", *THROUGH, *options, expect=expected)


@pytest.mark.run
def test_what_it_cannot_do_ends_the_command_before_anything_starts(chaos: Chaos) -> None:
    code, _, said = chaos("run", str(EXPERIMENTS / "retry_storm.yaml"), *THROUGH)

    assert code == 2
    assert said.count("cannot do link.provider_failure (fault 'provider_outage'); Toxiproxy knows no HTTP") == 2
    assert not (chaos.folder / "runs").exists()


@contextlib.contextmanager
def harness(folder: Path) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """One that has broken a link and a service; and how to recover from it."""
    argv = [sys.executable, doomed.__file__, str(folder), "docker", "toxiproxy"]
    # Whoever asks for the one proxy need not have the other one's image.
    env = os.environ | {variable_of("proxy"): "brownout-nowhere.invalid/fault-proxy:1"}
    with subprocess.Popen(argv, stdout=subprocess.PIPE, env=env) as process:
        try:
            assert process.stdout is not None
            recovery = json.loads(process.stdout.readline())
            yield process, recovery
        finally:
            process.kill()


@pytest.mark.process
def test_nothing_is_left_of_a_killed_harness_once_it_was_healed(tmp_path: Path) -> None:
    with harness(tmp_path) as (process, recovery):
        assert len(left(run=recovery["run"])) == CONTAINERS_NETWORK_AND_VOLUME
        # With its guard, so that healing has something to do.
        os.kill(recovery["reaper"]["pid"], signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()

        healed = CliRunner().invoke(heal)

        assert healed.exit_code == 0, healed.output
        assert "link.blackhole at gateway → cache" in healed.output
    deadline = time.monotonic() + PATIENCE
    while left(run=recovery["run"]) or Path(recovery["scratch"]).exists():
        assert time.monotonic() < deadline, left(run=recovery["run"])
        time.sleep(0.1)
    with Ledger.open() as ledger:
        assert ledger.open_runs() == []
        assert [fault.state for fault in ledger.faults("doomed")] == ["healed", "healed"]
