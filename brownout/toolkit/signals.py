"""Ctrl-C and SIGTERM end a run in order: heal, judge, write, tear down.

The engine's own SIGTERM handler raises an exception that an activity swallows, and a signal during its rollbacks ends
them. Ours only ask the run to stop, which wakes whatever waits; a second signal changes nothing, a third leaves at once
(what is held then heals by its lease). Installed once the engine has installed its own.
"""

import os
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from brownout.errors import EXIT_ABORTED

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_before: dict[signal.Signals, Any] = {}


def install(stop: Callable[[str], None]) -> None:
    """From now on the first signal calls `stop` with its name. Main thread only."""
    seen = 0

    def on_signal(number: int, _frame: FrameType | None) -> None:
        nonlocal seen
        seen += 1
        if seen == 1:
            stop(f"interrupted by {signal.Signals(number).name}")
        elif seen == 2:
            print("healing and tearing down; once more to leave at once", file=sys.stderr)
        else:
            os._exit(EXIT_ABORTED)

    for number in _HEEDED:
        before = signal.signal(number, on_signal)
        _before.setdefault(number, before)


def restore() -> None:
    """Put back the handlers that `install` found."""
    while _before:
        number, handler = _before.popitem()
        signal.signal(number, handler)
