"""Killing the harness leaves no process, no port and no fault, and `chaos heal` closes the book."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from brownout.cli.heal import heal
from brownout.ledger import Ledger
from tests import doomed
from tests.busy import Cpu, in_time
from tests.embedded.helpers import PATIENCE, all_end, descendants, listening

pytestmark = pytest.mark.process


def test_a_killed_harness_leaves_no_process_no_port_and_no_fault_within_ten_seconds(
    tmp_path: Path, state: Path
) -> None:
    argv = [sys.executable, doomed.__file__, str(tmp_path), "embedded"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as harness:
        try:
            assert harness.stdout is not None
            recovery = json.loads(harness.stdout.readline())
            alive = CliRunner().invoke(heal)
            assert alive.exit_code == 0
            assert f"doomed: still runs (pid {harness.pid}); left alone\n  has broken link.blackhole" in alive.output
            assert "service.freeze at vector-db" in alive.output
            processes = descendants(harness.pid)
            ports = [c.laddr.port for one in processes for c in one.net_connections() if c.status == "LISTEN"]
            assert len(processes) > 10
            assert len(ports) >= 12
        finally:
            os.kill(harness.pid, signal.SIGKILL)
        killed = Cpu.now()
        assert all_end(processes, within=PATIENCE)
        assert not any(listening(port) for port in ports)
        while Path(recovery["scratch"]).exists():
            assert time.monotonic() - killed.at < PATIENCE
            time.sleep(0.01)
        assert in_time(killed, 10.0)
    with Ledger.open() as ledger:
        assert [fault.state for fault in ledger.faults("doomed")] == ["on", "on"]
        healed = CliRunner().invoke(heal)
        assert (healed.exit_code, ledger.open_runs()) == (0, [])
        assert [fault.state for fault in ledger.faults("doomed")] == ["healed", "healed"]
    assert healed.output.startswith("doomed: healed: nothing was left of it\n  had broken link.")
    assert "\n  had broken link.blackhole at gateway → cache\n" in f"\n{healed.output}"
    again = CliRunner().invoke(heal)
    assert (again.exit_code, again.output) == (0, "Nothing is broken: every run has ended.\n")
