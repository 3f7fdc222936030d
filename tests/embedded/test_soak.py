"""A harness that is killed with SIGKILL at a random moment leaves nothing broken and nobody behind."""

import asyncio
import collections
import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from brownout.fixtures.embedded import EmbeddedTarget
from brownout.healing import heal_runs
from brownout.ledger import Ledger
from tests.embedded.victims import cgroups

AT_ONCE = 4
LIVES = 0.5
"""Seconds that a harness lives at most once it is up. Its faults last 50 ms at most."""


@dataclass(frozen=True)
class Doomed:
    """A harness that is up."""

    pid: int
    run: str
    recovery: dict[str, Any]
    family: Sequence[psutil.Process]

    @property
    def scratch(self) -> Path:
        return Path(self.recovery["scratch"])


def told(line: bytes) -> Doomed:
    known = json.loads(line)
    return Doomed(known["pid"], known["run"], known["recovery"], psutil.Process(known["pid"]).children(recursive=True))


def working_in(folder: Path) -> list[psutil.Process]:
    """Whoever works in a folder, however it got there."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.cwd().startswith(str(folder)):
                found.append(process)
        except psutil.Error:
            continue
    return found


def survivors(doomed: Doomed) -> list[psutil.Process]:
    family = [one for one in doomed.family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
    return [*family, *working_in(doomed.scratch)]


@pytest.mark.run
@pytest.mark.parametrize("deaths", [20, pytest.param(200, marks=pytest.mark.long)])
def test_killing_the_harness_at_random_moments_leaves_no_fault_and_no_process(tmp_path: Path, deaths: int) -> None:
    rng = random.Random(7)
    states: collections.Counter[str] = collections.Counter()
    slowest = 0.0
    argv = [sys.executable, "-m", "tests.embedded.erratic", str(tmp_path)]
    errors = tmp_path / "errors"
    with (
        errors.open("wb") as stderr,
        subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=stderr, bufsize=0) as zygote,
        Ledger.open() as book,
    ):
        assert zygote.stdin is not None
        assert zygote.stdout is not None
        for first in range(0, deaths, AT_ONCE):
            batch = range(first, min(first + AT_ONCE, deaths))
            zygote.stdin.write("".join(f"{seed}\n" for seed in batch).encode())
            dooms = [told(zygote.stdout.readline()) for _ in batch]
            for doomed in dooms:
                time.sleep(rng.uniform(0.0, LIVES))
                for pid in (doomed.pid, doomed.recovery["supervisor"]["pid"]):
                    assert psutil.Process(pid).status() != psutil.STATUS_ZOMBIE, errors.read_text()
                os.kill(doomed.pid, signal.SIGKILL)
            killed = time.monotonic()
            while left := [one for doomed in dooms for one in survivors(doomed)]:
                assert time.monotonic() < killed + 10.0, left
                time.sleep(0.05)
            slowest = max(slowest, time.monotonic() - killed)
            for doomed in dooms:
                states.update(fault.state for fault in book.faults(doomed.run)[-3:])
            healed = asyncio.run(heal_runs(book, lambda _: EmbeddedTarget))
            assert {one.outcome for one in healed} == {"healed"}
            # The supervisor had done it all by itself.
            assert [did for one in healed for did in one.did] == []
            assert book.open_runs() == []
            for doomed in dooms:
                assert {fault.state for fault in book.faults(doomed.run)} <= {"healed"}
                assert not doomed.scratch.exists()
                assert cgroups(doomed.scratch) == []
        zygote.stdin.close()
    # Up to its death each did what it was told to, without trouble.
    assert errors.read_text() == ""
    print(f"{deaths} deaths; faults at that moment: {dict(states)}; all gone within {slowest:.1f} s")
    # They died while something was about to be broken, and while something was.
    assert states["on"] > deaths / 2
    assert states["intended"] > 0
