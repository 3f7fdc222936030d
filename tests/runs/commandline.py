"""Whole runs, as a user starts them: a process of its own, its own state, its own folder."""

import contextlib
import json
import os
import shutil
import sqlite3
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"
SCALE = "0.25"
"""Of the shipped files' durations. Long enough for 20 samples in every window at 20 requests/s."""
FULL_LENGTH = "1"
PATIENCE = 120.0
TRIES = 4


@dataclass
class Started:
    """A `chaos run` that is under way."""

    process: subprocess.Popen[str]
    folder: Path
    log: Path
    family: dict[int, psutil.Process] = field(default_factory=dict)

    def saw(self, text: str) -> bool:
        """Wait until its progress says that, or until it is over."""
        while text not in self.log.read_text() and self.process.poll() is None:
            time.sleep(0.02)
        return text in self.log.read_text()

    def wait_for(self, text: str, *, patience: float = 60.0) -> None:
        """Wait until its progress says that."""
        deadline = time.monotonic() + patience
        while text not in self.log.read_text():
            assert self.process.poll() is None, f"ended before {text!r}:\n{self.log.read_text()}"
            assert time.monotonic() < deadline, f"no {text!r} in:\n{self.log.read_text()}"
            time.sleep(0.02)

    def remember_family(self) -> None:
        """Note every process of the run, so that it can be asked later whether they are gone."""
        me = psutil.Process(self.process.pid)
        self.family = {process.pid: process for process in me.children(recursive=True)}
        assert len(self.family) >= 8, f"a stack is more than {self.family}"

    def listening(self) -> set[int]:
        """The TCP ports that the run's processes listen on."""
        ports = set()
        for process in self.family.values():
            try:
                connections = process.net_connections("tcp")
            except psutil.Error:
                continue
            ports |= {c.laddr.port for c in connections if c.status == psutil.CONN_LISTEN}
        return ports

    def survivors(self, *, within: float) -> list[psutil.Process]:
        """Which of them still run after that many seconds; returns as soon as none does."""
        _, alive = psutil.wait_procs(list(self.family.values()), timeout=within)
        return [process for process in alive if process.is_running() and process.status() != psutil.STATUS_ZOMBIE]

    def finish(self) -> int:
        return self.process.wait(PATIENCE)

    @property
    def run(self) -> Path:
        """The run folder."""
        (run,) = (self.folder / "runs").iterdir()
        return run


@dataclass
class Result:
    """A `chaos run --json` that is over."""

    code: int
    verdict: dict[str, Any]
    said: str
    folder: Path

    @property
    def run(self) -> Path:
        (run,) = (self.folder / "runs").iterdir()
        return run

    def of(self, block: str, probe: str) -> dict[str, Any]:
        """What was judged there of the probe with that name."""
        found = [one for one in self.verdict["checks"] if one["block"] == block and one["probe"] == probe]
        assert len(found) == 1, f"{block}/{probe} in {self.verdict['judged']}"
        return found[0]

    def failed(self) -> set[tuple[str, str]]:
        return {(one["block"], one["probe"]) for one in self.verdict["checks"] if one["outcome"] == "failed"}


class Chaos:
    """The `chaos` command in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.started: list[Started] = []

    def start(self, *arguments: str, folder: Path | None = None) -> Started:
        folder = folder or self.folder
        folder.mkdir(exist_ok=True, parents=True)
        log = folder / f"progress-{len(self.started)}.log"
        with log.open("w") as stderr, (folder / f"stdout-{len(self.started)}").open("w") as stdout:
            process = subprocess.Popen(
                [sys.executable, "-m", "chaostoolkit", "--no-version-check", *arguments],
                cwd=folder,
                stdout=stdout,
                stderr=stderr,
                text=True,
                env=os.environ | {"NO_COLOR": "1", "COLUMNS": "160"},
            )
        started = Started(process, folder, log)
        self.started.append(started)
        return started

    def __call__(self, *arguments: str) -> tuple[int, str, str]:
        """(exit code, stdout, stderr)"""
        started = self.start(*arguments)
        number = len(self.started) - 1
        code = started.finish()
        return code, (self.folder / f"stdout-{number}").read_text(), started.log.read_text()

    def run(self, experiment: str | Path, *options: str, steady: bool = True, scale: str = SCALE) -> Result:
        """Run it to its end.

        What a fault breaks at once, as the answers under way in an engine that dies, is as much in a short run as in a
        long one: a threshold on its share holds at FULL_LENGTH only.

        A run on a machine that others keep busy says nothing of latencies; it is repeated, a few times at most. On a
        machine of its own, none is: there the first verdict stands.
        """
        path = EXPERIMENTS / experiment if isinstance(experiment, str) else experiment
        for _ in range(TRIES if steady else 1):
            shutil.rmtree(self.folder / "runs", ignore_errors=True)
            code, out, said = self("run", str(path), "--scale", scale, "--seed", "7", "--json", *options)
            assert "Traceback" not in said, said
            assert out, said
            result = Result(code, json.loads(out), said, self.folder)
            if not unsteady(result.code, result.verdict) and not busy(result.run):
                break
        return result


def busy(run: Path) -> bool:
    """Whether more processes wanted a processor than there are, as the run itself recorded: its own take less."""
    with contextlib.closing(sqlite3.connect(run / "evidence.sqlite")) as evidence:
        query = "SELECT min(value) FROM sample WHERE metric = 'load_per_processor'"
        (load,) = evidence.execute(query).fetchone()
    return load is not None and load > 1.0


def unsteady(code: int, verdict: dict[str, Any]) -> bool:
    """Whether a run was inconclusive for what the machine did, not for what the system or the experiment is."""
    noise = ("no steady state to start from", "the load was sent late", "too slow")
    return code == 3 and any(text in reason for reason in verdict["reasons"] for text in noise)
