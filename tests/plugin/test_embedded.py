"""The plugin with the reference stack: real processes, a real fault proxy."""

import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from brownout.ledger import Ledger
from tests.busy import wait_for_calm
from tests.plugin.conftest import ROOT, Project

pytestmark = pytest.mark.long

HELD = """
import time
from pathlib import Path

def test_it(inject):
    with inject("partition", from_="gateway", to="vector-db"), inject("freeze", service="cache"):
        Path("broken").touch()
        time.sleep(600)
"""
USED = """
import time

def test_a_killed_service_comes_back(chaos_target, inject):
    before = chaos_target.services()["cache"]
    with inject("kill", service="cache") as fault:
        deadline = time.monotonic() + 60
        while (after := chaos_target.services()["cache"]).restarts == before.restarts or not after.ready:
            assert time.monotonic() < deadline
            time.sleep(0.1)
    assert fault.proof.works
"""


def test_a_shipped_experiment_as_a_test(project: Project) -> None:
    shutil.copy(ROOT / "experiments" / "vector_db_partition.yaml", project.path)
    options = ("--chaos", "vector_db_partition.yaml", "--chaos-target", "embedded", "--chaos-scale", "0.25")

    for _ in range(4):
        result = project.run_apart(*options, "--chaos-seed", "7")
        if result.ret == 0:
            break
        wait_for_calm()

    assert result.parseoutcomes() == {"passed": 1}, result.stdout.str()


def test_the_documented_example_and_more_on_the_reference_stack(project: Project) -> None:
    document = (ROOT / "docs" / "pytest.md").read_text(encoding="utf-8")
    example = re.search(r"<!-- example -->\n```python\n(.*?)```", document, re.DOTALL)
    assert example is not None
    project.pytester.makepyfile(test_used=USED, test_documented=example[1])

    for _ in range(4):
        result = project.run_apart("--chaos-target", "embedded")
        if result.ret == 0:
            break
        wait_for_calm()

    assert result.parseoutcomes() == {"passed": 2}, result.stdout.str()


def test_nothing_is_left_of_a_session_that_was_killed(project: Project) -> None:
    project.pytester.makepyfile(test_it=HELD)
    process = subprocess.Popen(
        [sys.executable, "-m", "pytest", *project.options, "--chaos-target", "embedded"],
        cwd=project.path,
        stdout=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + 120
        while not (project.path / "broken").exists():
            assert time.monotonic() < deadline
            assert process.poll() is None
            time.sleep(0.1)
        family = psutil.Process(process.pid).children(recursive=True)
        assert len(family) >= 8
        with Ledger.open() as ledger:
            (run,) = ledger.open_runs()
            assert [row.state for row in ledger.faults(run.id)] == ["on", "on"]
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()

    _, alive = psutil.wait_procs(family, timeout=15)
    assert not [one for one in alive if one.status() != psutil.STATUS_ZOMBIE]
    heal = [sys.executable, "-m", "chaostoolkit", "--no-version-check", "--log-file", str(Path("/dev/null")), "heal"]
    assert subprocess.run(heal, cwd=project.path, check=False).returncode == 0
    with Ledger.open() as ledger:
        assert not ledger.open_runs()
