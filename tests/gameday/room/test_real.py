"""Drills on the embedded target, by the real command: one that is aborted in its control room, one that is killed."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil
import pytest

from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.ledger import Ledger
from tests.gameday.plans import written

pytestmark = [pytest.mark.process, pytest.mark.long]

PLAN = """
title: One that does not come to its end
schedule: {cron: "0 3 * * SUN", time-zone: Europe/Berlin}
phases: [{name: slow, experiments: [one.yaml]}]
runbook: runbook.md
rollback: heal
people: {commander: Ada, abort: [Grace]}
"""
EXPERIMENT = """
title: Slow for long
hypothesis: it is over before its time
target: embedded
load: {rate: 20/s}
duration: 200s
steady-state: [{availability: {at-least: 1%}}]
method:
  - latency: {from: gateway, to: vector-db, latency: 500ms}
    at: 4s
    for: 180s
  - freeze: {service: embedding}
    at: 4s
    for: 180s
expect:
  after: [{availability: {at-least: 1%}}]
"""
PATIENCE = 120.0
CHAOS = (str(Path(sys.executable).with_name("chaos")), "--no-version-check", "gameday")
PAGE = "a-page-of-a-test"


@contextmanager
def drill(folder: Path, *options: str) -> Iterator["subprocess.Popen[str]"]:
    plan = written(folder, PLAN)
    (folder / "one.yaml").write_text(EXPERIMENT, encoding="utf-8")
    subprocess.run([*CHAOS, "check-in", str(plan), "--as", "Grace"], check=True, capture_output=True)
    override = ("--override", "window", "--by", "Ada", "--because", "a test")
    process = subprocess.Popen(
        [*CHAOS, "run", str(plan), *override, *options],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def both_are_on() -> bool:
    """Whether the ledger holds both faults as on."""
    if not (Path(os.environ["BROWNOUT_STATE_DIR"]) / "ledger.sqlite").exists():
        return False
    with Ledger.open() as ledger:
        return [row.state for run in ledger.open_runs() for row in ledger.faults(run.id)] == ["on", "on"]


def test_abort_in_the_room_heals_what_a_real_run_broke(tmp_path: Path) -> None:
    with drill(tmp_path, "--room") as process:
        assert process.stdout is not None
        url = next(line for line in process.stdout if line.startswith("control room: ")).split(": ", 1)[1].strip()
        base = url.split("/?")[0]
        with httpx.Client(base_url=base, headers={"origin": base}, trust_env=False, timeout=30.0) as room:
            room.get("/", params={"token": url.split("token=")[1]}).raise_for_status()
            room.post("/take", json={"who": "Grace", "page": PAGE}).raise_for_status()
            until = time.monotonic() + PATIENCE
            while not both_are_on():
                assert time.monotonic() < until
                room.post("/beat", json={"page": PAGE}).raise_for_status()
                time.sleep(0.2)
            room.post("/mark", json={"who": "Grace", "kind": "detected"}).raise_for_status()
            room.post("/abort", json={"who": "Grace"}).raise_for_status()
        said, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == 4, said
    assert url.split("token=")[1] not in said
    with Ledger.open() as ledger:
        assert not ledger.open_runs()
    with Journal.open() as journal, Minutes.open() as minutes:
        (one,) = journal.drills()
        assert (one.state, one.outcome) == ("over", "aborted")
        assert one.said is not None
        assert "was aborted by Grace: pressed ABORT in the control room; " in one.said
        assert "all was whole" in one.said
        (step,) = journal.steps(one.id)
        assert step.outcome == "aborted"
        assert step.folder is not None
        assert (Path(step.folder) / "report.html").is_file()
        assert [(mark.kind, mark.by) for mark in minutes.marks(one.id)] == [("detected", "Grace")]


def test_a_killed_drill_leaves_nothing_broken_and_holds_the_next_one_up(tmp_path: Path) -> None:
    with drill(tmp_path, "--no-room") as process:
        until = time.monotonic() + PATIENCE
        while not both_are_on():
            assert time.monotonic() < until
            time.sleep(0.05)
        below = psutil.Process(process.pid).children(recursive=True)
        assert len(below) > 5
        process.send_signal(signal.SIGKILL)
        _, alive = psutil.wait_procs(below, timeout=PATIENCE)
        assert not alive
    with Ledger.open() as ledger:
        assert not ledger.open_runs()
    with Journal.open() as journal:
        (one,) = journal.drills()
        assert (one.state, one.outcome) == ("interrupted", None)
    override = ("--override", "window", "--by", "Ada", "--because", "again")
    command = [*CHAOS, "run", str(tmp_path / "sunday.yaml"), *override]
    again = subprocess.run(command, capture_output=True, text=True, check=False)
    assert again.returncode == 2
    assert f"interrupted: drill {one.id} was interrupted" in again.stderr
