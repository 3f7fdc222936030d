"""A user's project, in which Brownout and a target that is up at once are installed."""

import os
import sqlite3
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

import pytest

from brownout import registry
from tests.busy import wait_for_calm

ROOT = Path(__file__).parents[2]
EXPERIMENT = """\
title: {title}
hypothesis: answers keep coming
target: small
settings: {{fallback: {fallback}}}
load: {{rate: 40/s, arrivals: constant}}
duration: 3200ms
steady-state: [{{{steady}}}]
method:
  - partition: {{from: gateway, to: store}}
    at: 1s
    for: 1s
expect:
  during: [{{availability: {{at-least: 99%}}}}]
"""
AVAILABLE = "availability: {at-least: 99%}"
NEVER = "total: {p50: 1us}"


class Project:
    """What a user has written, and pytest as a user starts it.

    In this process as a rule, where all has been imported once: a target's loop has a thread of its own anyway, and an
    experiment a process.
    """

    def __init__(self, pytester: pytest.Pytester) -> None:
        self.pytester = pytester
        self.path = pytester.path
        self.options = ["-p", "no:cacheprovider", "-p", "no:asyncio", "-rA"]

    def experiment(self, name: str, *, title: str = "Small", fallback: str = "on", steady: str = AVAILABLE) -> None:
        folder = self.path / "experiments"
        folder.mkdir(exist_ok=True)
        text = EXPERIMENT.format(title=title, fallback=fallback, steady=steady)
        (folder / f"{name}.yaml").write_text(text)

    def run(self, *arguments: str) -> pytest.RunResult:
        return self.pytester.runpytest_inprocess(*self.options, *arguments)

    def run_apart(self, *arguments: str) -> pytest.RunResult:
        """In a process of its own, as the workers of pytest-xdist need it, and what reads YAML: the part of the parser
        that is written in C does not bear to be imported twice, as sessions in one process do.
        """
        return self.pytester.runpytest_subprocess(*self.options, *arguments, timeout=120)

    def run_in_calm(self, *arguments: str, expect: Mapping[str, int], apart: bool = False) -> pytest.RunResult:
        """With those outcomes; again where they are others because this machine is too busy to send load in time."""
        for _ in range(4):
            result = (self.run_apart if apart else self.run)(*arguments)
            said = result.stdout.str()
            late = any(text in said for text in ("sent late", "too slow", "s instead of"))
            if result.parseoutcomes() == expect or not late:
                break
            wait_for_calm(20.0)
        assert result.parseoutcomes() == expect, said
        return result

    def brought_up(self) -> int:
        """How many targets there have been, runs of experiments included."""
        with closing(sqlite3.connect(self.path / "state" / "ledger.sqlite")) as ledger:
            (count,) = ledger.execute("SELECT count(*) FROM runs WHERE ended IS NOT NULL").fetchone()
        assert isinstance(count, int)
        return count

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "pytest", *self.options, *arguments]


@pytest.fixture
def project(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> Iterator[Project]:
    info = pytester.path / "installed" / "small-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: small\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[brownout.targets]\nsmall = tests.plugin.stack:small\n")
    pytester.makeini("[pytest]\nchaos_target = small\nfilterwarnings = error\nnorecursedirs = installed\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(pytester.path / "installed"), str(ROOT)]))
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(pytester.path / "state"))
    monkeypatch.setenv("COLUMNS", "160")
    monkeypatch.syspath_prepend(pytester.path / "installed")
    registry.targets.cache_clear()
    yield Project(pytester)
    registry.targets.cache_clear()
