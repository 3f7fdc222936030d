"""Where a game day's experiments are played: each as `chaos run` does, one after the other."""

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import click

from brownout.errors import EXIT_BAD_INPUT
from brownout.gameday.drill import Played
from brownout.prepare import RunOptions
from brownout.toolkit.execute import execute


class ToolkitStage:
    """A `brownout.gameday.drill.Stage`."""

    def __init__(self, folder: Path, *, target: str, scale: float, instance: str, settings: str) -> None:
        """
        Args:
            folder: in which run folders are made.
            target: on which everything runs.
            scale: of every experiment and of the pauses.
            instance: of the target.
            settings: path of the Chaos Toolkit's settings file.
        """
        self._folder = folder
        self._options = RunOptions(target=target, scale=scale, instance=instance, runs_dir=folder)
        self._settings = settings

    def play(self, experiment: Path) -> Played:
        """Run one experiment; a signal heals, and gives the exit code of an aborted run."""
        before = set(self._folder.iterdir())
        try:
            code = execute(
                experiment, self._options, settings=self._settings, journal=None, verbose=False, as_json=False
            )
        except SystemExit as left:
            # What was wrong has been told; the drill has yet to be written down as one that could not go on.
            code = left.code if isinstance(left.code, int) else EXIT_BAD_INPUT
        made = sorted(set(self._folder.iterdir()) - before)
        return Played(code, made[-1].resolve() if made else None)

    def pause(self, seconds: float) -> None:
        """Wait, as much shorter as the experiments are."""
        scaled = seconds * self._options.scale
        self.say(f"a pause of {scaled:g}s")
        time.sleep(scaled)

    def say(self, text: str) -> None:
        """On the terminal."""
        click.echo(text)


@contextmanager
def stopped_by(*numbers: signal.Signals) -> Iterator[None]:
    """Let these signals do what Ctrl-C does; a run, while it goes on, heeds them in its own way."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = [(number, signal.signal(number, interrupt)) for number in numbers]
    try:
        yield
    finally:
        for number, handler in before:
            signal.signal(number, handler)
