"""Whole runs, as a user starts them: a process of its own, its own state, its own folder."""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

from tests.busy import BUSY, Cpu, wait_for_calm

EXPERIMENTS = Path(__file__).parent.parent.parent / "experiments"
SCALE = "0.25"
"""Of the shipped files' durations. Long enough for 20 samples in every window at 20 requests/s."""
FULL_LENGTH = "1"
PATIENCE = 300.0
TRIES = 4
Probe = tuple[str, str]
"""The block and the name under which it was judged."""


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
    others: float = 0.0
    """Which share of the machine's processor time was taken by others while it ran."""

    @property
    def run(self) -> Path:
        (run,) = (self.folder / "runs").iterdir()
        return run

    @property
    def disturbed(self) -> bool:
        """Whether the machine, rather than the system or the experiment, may have made it what it is."""
        noise = ("no steady state to start from", "the load was sent late", "too slow", "s instead of")
        said = any(text in reason for reason in self.verdict["reasons"] for text in noise)
        return self.others > BUSY or (self.code == 3 and said)

    def of(self, block: str, probe: str) -> dict[str, Any]:
        """What was judged there of the probe with that name."""
        found = [one for one in self.verdict["checks"] if one["block"] == block and one["probe"] == probe]
        assert len(found) == 1, f"{block}/{probe} in {self.verdict['judged']}"
        return found[0]

    def failed(self) -> set[Probe]:
        return {(one["block"], one["probe"]) for one in self.verdict["checks"] if one["outcome"] == "failed"}


Expectation = Callable[[Result], None]
"""Raises `AssertionError` where a run did not end as it should."""


def ends(code: int, outcome: str) -> Expectation:
    """It ends with that exit code and that verdict."""

    def check(result: Result) -> None:
        assert (result.code, result.verdict["outcome"]) == (code, outcome), (result.others, result.verdict)

    return check


def passes(result: Result) -> None:
    """It passes, by every one of its probes."""
    ends(0, "passed")(result)
    assert {one["outcome"] for one in result.verdict["checks"]} == {"passed"}, result.verdict


def fails(*probes: Probe, one_of: Collection[Probe] = (), spares: Collection[Probe] = ()) -> Expectation:
    """It fails by those probes, by one at least of some others, and passes by those that a missing defence spares."""

    def check(result: Result) -> None:
        ends(1, "failed")(result)
        assert set(probes) <= result.failed(), result.verdict
        assert not one_of or set(one_of) & result.failed(), result.verdict
        for block, probe in spares:
            assert result.of(block, probe)["outcome"] == "passed", result.verdict

    return check


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

    def run(
        self,
        experiment: str | Path,
        *options: str,
        expect: Expectation = passes,
        scale: str = SCALE,
        before: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run it to its end, which must be as expected; `before` is called before it is tried, each time.

        What a fault breaks at once, as the answers under way in an engine that dies, is as much in a short run as in a
        long one: a threshold on its share holds at FULL_LENGTH only.

        A run that ends as expected stands. One that does not is repeated, a few times at most, if others kept the
        machine busy meanwhile or if it says itself that it was disturbed: it says nothing of latencies. For some time
        it is waited until they are done. On a machine of its own the first verdict stands, whatever it is.

        So a machine that is busy for a while fails no test. Could it pass one? A run that must pass is only made harder
        by it. One that must fail is asked to do so by the probe of the very defence that it lacks, after a steady state
        that held: where others are so loud that this probe fails by their doing, the test is as weak as the machine is
        busy, and as strong as ever on a quiet one.
        """
        path = EXPERIMENTS / experiment if isinstance(experiment, str) else experiment
        left = TRIES
        while True:
            left -= 1
            before()
            result = self._once(path, *options, scale=scale)
            try:
                expect(result)
            except AssertionError:
                if not (left and result.disturbed):
                    raise
            else:
                return result
            wait_for_calm()

    def run_defenceless(
        self,
        experiment: str | Path,
        *options: str,
        expect: Expectation,
        scale: str = SCALE,
        before: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run it without a defence, up to a moment after its faults have been healed.

        It must fail while they are on; how it recovers, or does not, says no more, and takes half of the time.
        """
        path = EXPERIMENTS / experiment if isinstance(experiment, str) else experiment
        text = path.read_text()
        healed = [int(at) + int(lasts) for at, lasts in re.findall(r"^    at: (\d+)s\n    for: (\d+)s$", text, re.M)]
        text, durations = re.subn(r"^duration: \d+s$", f"duration: {max(healed) + 4}s", text, flags=re.M)
        text, blocks = re.subn(r"^  after:\n(?:    .*\n)+", "", text, flags=re.M)
        assert (durations, blocks) == (1, 1), path
        self.folder.mkdir(exist_ok=True, parents=True)
        short = self.folder / path.name
        short.write_text(text)
        return self.run(short, *options, expect=expect, scale=scale, before=before)

    def _once(self, path: Path, *options: str, scale: str) -> Result:
        shutil.rmtree(self.folder / "runs", ignore_errors=True)
        before = Cpu.now()
        code, out, said = self("run", str(path), "--scale", scale, "--seed", "7", "--json", *options)
        others = Cpu.now().others_since(before)
        assert "Traceback" not in said, said
        assert out, said
        return Result(code, json.loads(out), said, self.folder, others)
