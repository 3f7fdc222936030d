"""Whose processor time it was: a run is repeated for what others took, and for nothing that it took itself."""

import subprocess
import sys

import psutil
import pytest

from tests.busy import Cpu, in_time

BURN = "import time\nwhile time.process_time() < 0.3: pass"
PARENT = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {BURN!r}], check=True)"


def test_what_a_program_and_whatever_it_started_took_is_ours() -> None:
    before = Cpu.now()
    subprocess.run([sys.executable, "-c", PARENT], check=True)
    after = Cpu.now()
    assert after.ours - before.ours >= 0.3
    # In ticks of a hundredth of a second, a few of which may be missing.
    assert after.machine - before.machine >= 0.25


def test_what_took_too_long_is_forgiven_only_where_others_were_busy() -> None:
    now = Cpu.now()
    assert in_time(now, 10.0)
    idle = Cpu(now.at - 20.0, now.machine - 5.0, now.ours - 5.0)
    assert not in_time(idle, 10.0)
    busy = Cpu(now.at - 20.0, now.machine - 20.0 * (psutil.cpu_count() or 1), now.ours - 5.0)
    assert in_time(busy, 10.0)


def test_what_is_left_is_the_others_share_of_all_processors() -> None:
    before, after = Cpu(100.0, machine=50.0, ours=7.0), Cpu(110.0, machine=59.0, ours=12.0)
    assert after.others_since(before) == pytest.approx(4.0 / 10.0 / (psutil.cpu_count() or 1))
