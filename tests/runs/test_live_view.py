"""What a person sees at a terminal while a run lasts, and what a program reads of it meanwhile."""

import json
import os
import pty
import select
import socket
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.runs.commandline import EXPERIMENTS, PATIENCE, Chaos

SHIPPED = str(EXPERIMENTS / "vector_db_partition.yaml")
HIDDEN, SHOWN = b"\x1b[?25l", b"\x1b[?25h"
"""Of the cursor."""


@dataclass
class Terminal:
    """A `chaos` command at a terminal of its own."""

    process: "subprocess.Popen[bytes]"
    screen: int
    seen: bytes = b""

    @classmethod
    @contextmanager
    def open(cls, folder: Path, *arguments: str) -> Iterator["Terminal"]:
        screen, inside = pty.openpty()
        process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "-m", "chaostoolkit", "--no-version-check", *arguments],
            cwd=folder,
            stdin=inside,
            stdout=inside,
            stderr=inside,
            env=os.environ | {"TERM": "xterm-256color", "COLUMNS": "110", "LINES": "40"},
        )
        os.close(inside)
        try:
            yield cls(process, screen)
        finally:
            process.terminate()
            process.wait(PATIENCE)
            os.close(screen)

    def watch(self, until: Callable[[], bool]) -> None:
        """Read the screen until that is so, or until the command is over."""
        deadline = time.monotonic() + PATIENCE
        while not until():
            assert time.monotonic() < deadline, self.seen[-2000:]
            ready, _, _ = select.select([self.screen], [], [], 0.1)
            try:
                piece = os.read(self.screen, 1 << 16) if ready else b""
            except OSError:  # what Linux says of a terminal that nobody has open any more
                return
            self.seen += piece


def events(path: Path) -> list[dict[str, Any]]:
    """Those that are complete."""
    return [json.loads(row) for row in path.read_text().splitlines(keepends=True) if row.endswith("\n")]


@pytest.mark.run
def test_ctrl_c_at_a_terminal_gives_it_back_as_it_was_and_the_events_end_with_the_verdict(tmp_path: Path) -> None:
    told = tmp_path / "events.ndjson"
    with Terminal.open(tmp_path, "run", SHIPPED, "--scale", "0.5", "--events", str(told)) as terminal:
        before = termios.tcgetattr(terminal.screen)
        terminal.watch(lambda: told.exists() and sum(one["event"] == "tick" for one in events(told)) >= 6)
        assert HIDDEN in terminal.seen
        os.write(terminal.screen, b"\x03")
        terminal.watch(lambda: terminal.process.poll() is not None)
        assert terminal.process.wait(PATIENCE) == 4
        assert termios.tcgetattr(terminal.screen) == before
    assert terminal.seen.rfind(SHOWN) > terminal.seen.rfind(HIDDEN)
    assert b"Traceback" not in terminal.seen
    assert "■ aborted".encode() in terminal.seen

    rows = events(told)
    assert [row["event"] for row in rows[-2:]] == ["verdict", "end"]
    assert rows[-2]["outcome"] == "aborted"
    assert "SIGINT" in rows[-2]["reasons"][0]
    phases = {row["name"]: row["time"] for row in rows if row["event"] == "phase"}
    assert list(phases)[:2] == ["bring up", "steady state"]
    # Drawn twice a second at most, and once more for each line that stays.
    drawn = terminal.seen.count(b"bring up ")
    assert 1 <= drawn <= 2 * (phases["steady state"] - phases["bring up"]) + 4


@pytest.mark.process
def test_the_events_and_the_json_verdict_cannot_both_have_stdout(chaos: Chaos) -> None:
    code, out, said = chaos("run", SHIPPED, "--json", "--events", "-")
    assert code == 2
    assert out == ""
    assert "both want stdout" in said


@pytest.mark.process
def test_events_that_cannot_be_written_are_refused_before_anything_starts(chaos: Chaos) -> None:
    code, out, said = chaos("run", SHIPPED, "--events", "/proc/nowhere/events")
    assert code == 2
    assert out == ""
    assert said == "Error: the events cannot be written to /proc/nowhere/events: No such file or directory\n"
    assert not (chaos.folder / "runs").exists()


@pytest.mark.process
def test_a_run_that_cannot_be_brought_up_tells_so_in_its_events(chaos: Chaos) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, out, said = chaos("run", SHIPPED, "--events", "-", "--port", f"gateway={port}")
    rows = [json.loads(row) for row in out.splitlines()]
    assert (code, [row["event"] for row in rows][-2:]) == (2, ["verdict", "end"]), said
    assert rows[-2]["outcome"] == "error"
    assert str(port) in rows[-2]["reasons"][0]
