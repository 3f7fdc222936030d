"""What is left when pytest ends before its tests do: nothing."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brownout.ledger import Ledger
from tests.plugin.conftest import Project

PATIENCE = 60.0


@pytest.fixture
def started(project: Project) -> Iterator["subprocess.Popen[bytes]"]:
    """A session that has come to the middle of an experiment."""
    project.experiment("long", steady="availability: {at-least: 1%}")
    path = project.path / "experiments" / "long.yaml"
    path.write_text(path.read_text().replace("for: 1s", "for: 60s").replace("3200ms", "70s"))
    # Whoever runs these tests in the background of a shell ignores SIGINT, and hands that down.
    command = [
        "env",
        "--default-signal=INT",
        sys.executable,
        "-m",
        "pytest",
        *project.options,
        "--chaos",
        "experiments",
    ]
    for _ in range(4):
        # A machine that is busy with something else may not have come to a steady state.
        process = subprocess.Popen(command, cwd=project.path, stdout=subprocess.DEVNULL)
        try:
            while process.poll() is None and not faults():
                time.sleep(0.05)
            if process.poll() is None:
                yield process
                return
        finally:
            process.kill()
            process.wait()
    pytest.fail("no experiment came as far as its fault")


def faults() -> list[str]:
    """The states of what the ledger holds."""
    if not (Path(os.environ["BROWNOUT_STATE_DIR"]) / "ledger.sqlite").exists():
        return []
    with Ledger.open() as ledger:
        return [row.state for run in ledger.open_runs() for row in ledger.faults(run.id)]


@pytest.mark.parametrize("number", [pytest.param(signal.SIGINT, marks=pytest.mark.long), signal.SIGKILL])
def test_the_run_ends_in_order_with_it(started: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    family = psutil.Process(started.pid).children(recursive=True)
    assert family

    started.send_signal(number)

    assert started.wait(PATIENCE) == {signal.SIGINT: pytest.ExitCode.INTERRUPTED, signal.SIGKILL: -9}[number]
    _, alive = psutil.wait_procs(family, timeout=PATIENCE)
    assert not alive
    with Ledger.open() as ledger:
        assert not ledger.open_runs()
