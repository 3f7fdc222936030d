"""A run of three seconds under the engine: what is written of it, and what is said where it cannot be."""

from pathlib import Path

import pytest

from brownout import registry
from brownout.prepare import RunOptions
from brownout.toolkit.execute import execute
from tests.tiny import EXPERIMENT, Tiny


class Played:
    """Plays the three seconds, in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __call__(self, *, journal: Path | None = None) -> int:
        path = self._folder / "three_seconds.yaml"
        path.write_text(EXPERIMENT)
        options = RunOptions(target="tiny", runs_dir=self._folder / "runs", seed=7)
        settings = str(self._folder / "settings.yaml")
        return execute(path, options, settings=settings, journal=journal, verbose=False, as_json=False)

    @property
    def run(self) -> Path:
        (folder,) = (self._folder / "runs").iterdir()
        return folder


@pytest.fixture
def played(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Played:
    monkeypatch.setattr(registry, "targets", lambda: registry.Registry("target", {"tiny": Tiny}))
    monkeypatch.chdir(tmp_path)
    return Played(tmp_path)


def test_a_journal_that_cannot_be_written_costs_nothing_else(
    played: Played, capsys: pytest.CaptureFixture[str]
) -> None:
    code = played(journal=Path("/dev/full"))

    told = capsys.readouterr()
    assert code == 2
    assert "but not all was written: OSError: [Errno 28] No space left on device" in told.err
    assert "availability: at-least 99%" in told.out
    assert {file.name for file in played.run.iterdir()} >= {"journal.json", "junit.xml", "report.html"}


def test_a_report_that_cannot_be_made_is_told_in_one_message_and_is_no_finding(
    played: Played, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object) -> None:
        msg = "a bug"
        raise OverflowError(msg)

    monkeypatch.setattr("brownout.report.html.write_report", fail)

    code = played()

    assert code == 2
    (message,) = (line for line in capsys.readouterr().err.splitlines() if line.startswith("Error: "))
    assert message.endswith("but not all was written: OverflowError: a bug")
