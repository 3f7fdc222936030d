"""The tutorial and the jobs for CI, as they are documented, on the example: it fails, is mended, and passes."""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.busy import wait_for_calm
from tests.described.documented import EXAMPLE, command, job

PATH = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
FAILED, INCONCLUSIVE = 1, 3


def sh(script: str, folder: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """What a CI server's shell makes of it."""
    return subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script],
        cwd=folder,
        env=os.environ | {"PATH": PATH, "NO_COLOR": "1"} | env,
        capture_output=True,
        text=True,
        check=False,
    )


def told(script: str, folder: Path, **env: str) -> int:
    """Its exit code; where the machine was too busy to tell, it is asked again."""
    for _ in range(3):
        shutil.rmtree(folder / "runs", ignore_errors=True)
        done = sh(script, folder, **env)
        if done.returncode != INCONCLUSIVE:
            break
        wait_for_calm()
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode


def test_what_init_writes_in_the_tutorial_is_valid(tmp_path: Path) -> None:
    done = sh(command("your-own-stack.md", "init"), tmp_path)

    assert done.returncode == 0, done.stderr
    assert "app → llm (HTTP): " in done.stdout
    assert "chaos/llm_outage.yaml is valid for the chaos/target.yaml target" in done.stdout


@pytest.mark.long
@pytest.mark.run
@pytest.mark.skipif(
    importlib.util.find_spec("fastapi") is None or importlib.util.find_spec("openai") is None,
    reason="needs pip install 'brownout[examples]'",
)
def test_the_example_fails_in_ci_with_its_report_as_the_summary_and_passes_once_it_is_mended(tmp_path: Path) -> None:
    folder = tmp_path / "example"
    shutil.copytree(EXAMPLE, folder)
    steps: Mapping[str, str] = {
        step["name"]: step["run"] for step in job("github")["jobs"]["chaos"]["steps"] if "run" in step
    }
    assert list(steps) == ["install", "experiments", "summary"]

    assert told(steps["experiments"], folder) == FAILED
    assert sh(steps["summary"], folder, GITHUB_STEP_SUMMARY="summary.md").returncode == 0
    summary = (folder / "summary.md").read_text()
    assert summary.startswith("## ✗ Failed: The assistant still answers while its LLM provider is out")
    assert "### Not as expected" in summary

    sh(command("your-own-stack.md", "fix"), folder)
    assert command("your-own-stack.md", "run").strip() == "chaos run chaos/llm_outage.yaml"
    gitlab = job("gitlab")["chaos"]
    assert told("\n".join(gitlab["script"]), folder) == 0
    assert sh("\n".join(gitlab["after_script"]), folder).stdout.startswith("## ✓ Passed: ")
    for path in ("chaos.md", gitlab["artifacts"]["reports"]["junit"]):
        assert list(folder.glob(path)), path
