"""Ctrl-C and SIGTERM end a run in order: heal, judge, write, tear down.

The engine's own SIGTERM handler raises an exception that an activity swallows, and a signal during its rollbacks ends
them. Ours only asks the run to stop, which wakes whatever waits; a second signal changes nothing, a third leaves at
once (what is held then heals by its lease).
"""

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from brownout.errors import EXIT_ABORTED

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class OrderlyExit:
    """The signal handlers of one run. Main thread only."""

    def __init__(self, stop: Callable[[str], None]) -> None:
        """The first signal calls `stop` with its name."""
        self._stop = stop
        self._seen = 0
        self._before: dict[signal.Signals, Any] = {}

    def claim(self) -> None:
        """Install the handlers; again, if somebody else has installed theirs meanwhile."""
        for number in _HEEDED:
            before = signal.signal(number, self._on_signal)
            self._before.setdefault(number, before)

    def release(self) -> None:
        """Put back the handlers that the first `claim` found."""
        while self._before:
            number, handler = self._before.popitem()
            signal.signal(number, handler)

    def _on_signal(self, number: int, _frame: FrameType | None) -> None:
        self._seen += 1
        if self._seen == 1:
            self._stop(f"interrupted by {signal.Signals(number).name}")
        elif self._seen == 2:
            # The terminal may be what has gone.
            with contextlib.suppress(OSError, ValueError):
                print("healing and tearing down; once more to leave at once", file=sys.stderr)
        else:
            os._exit(EXIT_ABORTED)
