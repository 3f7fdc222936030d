"""A drill on the embedded target, from the command to the run folder."""

import subprocess
import sys
from pathlib import Path

import pytest

from brownout.gameday.journal import Journal
from tests.gameday.plans import written

PLAN = """
title: Two of them
schedule: {cron: "0 3 * * SUN", time-zone: Europe/Berlin}
phases: [{name: slow, experiments: [{run: one.yaml, pause: 2s}, two.yaml]}]
runbook: runbook.md
rollback: heal
people: {commander: Ada, abort: [Grace]}
"""
CHAOS = Path(sys.executable).with_name("chaos")


@pytest.mark.long
@pytest.mark.run
def test_a_drill_runs_its_experiments_as_chaos_run_does(tmp_path: Path) -> None:
    plan = written(tmp_path, PLAN)

    def chaos(*arguments: str) -> "subprocess.CompletedProcess[str]":
        command = [str(CHAOS), "--no-version-check", "gameday", *arguments]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    refused = chaos("run", str(plan), "--override", "window", "--by", "Ada", "--because", "a test")
    assert refused.returncode == 2
    assert "abort-holder: Grace must have checked in" in refused.stderr
    assert chaos("check-in", str(plan), "--as", "Grace").returncode == 0
    done = chaos("run", str(plan), "--override", "window", "--by", "Ada", "--because", "a test", "--scale", "0.4")
    # What they find on a machine that others keep busy is theirs; that both are played is the drill's.
    assert done.returncode in (0, 1, 3), done.stderr
    with Journal.open() as journal:
        (drill,) = journal.drills()
        steps = journal.steps(drill.id)
    assert [one.experiment for one in steps] == ["one.yaml", "two.yaml"]
    for step in steps:
        assert step.folder is not None
        assert (Path(step.folder) / "report.html").is_file()
        assert Path(step.folder).is_relative_to(drill.folder)
