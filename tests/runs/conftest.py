"""The `chaos` command, and the shipped experiment with changes."""

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.runs.commandline import EXPERIMENTS, PATIENCE, Chaos


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    command = Chaos(tmp_path / "work")
    yield command
    for started in command.started:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(PATIENCE)
    shutil.rmtree(tmp_path / "work", ignore_errors=True)


@pytest.fixture
def edited(tmp_path: Path) -> Callable[[str, str], Path]:
    """The shipped experiment with some of its text replaced."""

    def edit(old: str, new: str) -> Path:
        text = (EXPERIMENTS / "vector_db_partition.yaml").read_text()
        assert old in text
        path = tmp_path / "edited.yaml"
        path.write_text(text.replace(old, new))
        return path

    return edit
