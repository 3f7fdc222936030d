"""The programme's first week, whole: by the real command in a process of its own, on the embedded target, shortened.

Its experiments are the shipped ones, in their order, at `SCALE`; only the pauses between them, in which nothing is
to be seen, are cut to seconds, and the killed replica is as long away as at full length: the answers that die with it
are as many in a short run, and its threshold is on their share. Latencies, which depend on who else uses the machine,
may be ten times as long: what the shipped levels say of the stack is proved one by one elsewhere; here it is the drill.
"""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.busy import wait_for_calm
from tests.runs.commandline import EXPERIMENTS

pytestmark = [pytest.mark.run, pytest.mark.long]

CHAOS = Path(sys.executable).with_name("chaos")
SCALE = "0.4"
TRIES = 3
ORDER = ["vector_db_latency.yaml", "vector_db_partition.yaml", "llm_provider_outage.yaml", "inference_pod_kill.yaml"]
PERMITTED = ("--override", "window", "--by", "on-call lead", "--because", "a test")


def chaos(*arguments: object, folder: Path) -> "subprocess.CompletedProcess[str]":
    command = [str(CHAOS), "--no-version-check", "gameday", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def drill(plan: Path) -> dict[str, Any]:
    """Play a drill; its record. One in which something could not be told is played again."""
    for left in reversed(range(TRIES)):
        done = chaos("run", plan, *PERMITTED, "--scale", SCALE, folder=plan.parent)
        name = re.findall(r"^drill (\S+):", done.stdout, re.M)[-1]
        told = chaos("record", name, "--json", folder=plan.parent)
        assert told.returncode == 0, told.stderr
        found: dict[str, Any] = json.loads(told.stdout)
        if not left or all(one["outcome"] in ("passed", "failed") for one in found["experiments"]):
            break
        wait_for_calm()
    assert done.returncode in (0, 1), done.stdout + done.stderr
    return found


def test_the_programme_s_first_week_is_played_and_recorded_and_a_missing_defence_is_found(tmp_path: Path) -> None:
    shutil.copytree(EXPERIMENTS, tmp_path / "experiments")
    plan = tmp_path / "experiments" / "gamedays" / "week1_staging.yaml"
    plan.write_text(re.sub(r"pause: \d+m", "pause: 1s", plan.read_text("utf-8")), "utf-8")
    with_room_for_latency(tmp_path / "experiments")
    at_full_length(tmp_path / "experiments" / ORDER[-1])

    refused = chaos("run", plan, *PERMITTED, folder=plan.parent)
    assert refused.returncode == 2
    assert "abort-holder: on-call or platform must have checked in" in refused.stderr
    assert "abort-holder: on-call or platform must" in chaos("status", folder=plan.parent).stdout
    assert chaos("check-in", plan, "--as", "on-call", folder=plan.parent).returncode == 0

    first = drill(plan)
    assert [one["experiment"] for one in first["experiments"]] == ORDER
    assert {one["rule"] for one in first["refused_starts"]} <= {"abort-holder"}
    for one in first["experiments"]:
        assert one["outcome"] == "passed", [check for check in one["verdicts"] if check["outcome"] != "passed"]
        assert all(check["figure"] for check in one["verdicts"])
        assert (Path(one["folder"]) / "report.html").is_file()
    answers = {one["experiment"]: one["answers"] for one in first["experiments"]}
    for name in ORDER:
        assert answers[name]["Breaker opened within 30 s?"]["word"] == "yes", answers[name]
        assert answers[name]["Failed over?"]["word"] == "yes", answers[name]
    folder = plan.parent / "runs" / first["drill"]
    page = (folder / "record.html").read_text("utf-8")
    assert all(answers[name]["Recovery automatic?"]["word"] == "yes" for name in ORDER), answers
    assert "All 4 experiments passed." in page
    assert all(f"<code>{check['title']}</code>" in page for check in first["experiments"][1]["verdicts"])
    assert "## Learn" in (folder / "record.md").read_text("utf-8")

    without_the_breaker(plan)
    second = drill(plan)
    earlier = {one["drill"]: one["outcome"] for one in second["earlier"]}
    assert earlier[first["drill"]] == "passed"
    (slow,) = second["experiments"]
    assert (slow["experiment"], slow["outcome"]) == (ORDER[0], "failed")
    assert ("breaker", "failed") in {(check["probe"], check["outcome"]) for check in slow["verdicts"]}
    assert slow["answers"]["Breaker opened within 30 s?"]["word"] == "no"
    page = (plan.parent / "runs" / second["drill"] / "record.html").read_text("utf-8")
    assert "Why: vector_db_latency.yaml failed?" in page
    assert f"../{first['drill']}/record.html" in page


def with_room_for_latency(folder: Path) -> None:
    """Ten times of it, wherever its first four experiments name a level."""
    for name in ORDER:
        text = (folder / name).read_text("utf-8")
        text, levels = re.subn(r"\b(p50|p95): (\d+)(ms|s)\b", r"\1: \g<2>0\3", text)
        assert levels
        (folder / name).write_text(text, "utf-8")


def at_full_length(experiment: Path) -> None:
    """Its fault is on for as long as it is in the file, whatever the scale."""
    text = experiment.read_text("utf-8")
    text, faults = re.subn(r"^    for: 20s$", f"    for: {20 / float(SCALE):g}s", text, flags=re.M)
    text, lengths = re.subn(r"^duration: 60s$", f"duration: {40 + 20 / float(SCALE):g}s", text, flags=re.M)
    assert (faults, lengths) == (1, 1)
    experiment.write_text(text, "utf-8")


def without_the_breaker(plan: Path) -> None:
    """Of the plan only its first experiment is left, up to a moment after the heal, on a system without breakers."""
    text = plan.read_text("utf-8")
    phases = "phases: [{name: a dependency is slow, experiments: [../vector_db_latency.yaml]}]\n"
    plan.write_text(re.sub(r"^phases:\n(?:  .*\n)+", phases, text, flags=re.M), "utf-8")
    slow = plan.parent.parent / ORDER[0]
    text = slow.read_text("utf-8").replace("\nload:", "\nsettings: {breaker: off}\nload:")
    text, lengths = re.subn(r"^duration: 60s$", "duration: 34s", text, flags=re.M)
    text, blocks = re.subn(r"^  after:\n(?:    .*\n)+", "", text, flags=re.M)
    assert (lengths, blocks) == (1, 1)
    slow.write_text(text, "utf-8")
