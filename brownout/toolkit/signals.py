"""Ctrl-C and SIGTERM end a run in order: heal, judge, write, tear down.

The engine's own SIGTERM handler raises an exception that an activity swallows, and a signal during its rollbacks ends
them. Ours only asks the run to stop, which wakes whatever waits; a second signal changes nothing, a third leaves at
once (what is held then heals by its lease).

A parent that is killed is no third time: the kernel signals a child (PR_SET_PDEATHSIG of prctl(2)) once for each thread
of its parent, as one after the other ends. What comes on the heels of a signal is the same one.
"""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable
from types import FrameType
from typing import Any

from brownout.errors import EXIT_ABORTED

_HEEDED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_SAME = 0.2
"""Seconds: shorter than a person is from one Ctrl-C to the next."""


class OrderlyExit:
    """The signal handlers of one run. Main thread only."""

    def __init__(
        self,
        stop: Callable[[str], None],
        *,
        clock: Callable[[], float] = time.monotonic,
        leave: Callable[[int], None] = os._exit,
    ) -> None:
        """The first signal calls `stop` with its name."""
        self._stop = stop
        self._clock = clock
        self._leave = leave
        self._seen = 0
        self._last = float("-inf")
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
        before, self._last = self._last, self._clock()
        if self._last - before < _SAME:
            return
        self._seen += 1
        if self._seen == 1:
            self._stop(f"interrupted by {signal.Signals(number).name}")
        elif self._seen == 2:
            # The terminal may be what has gone.
            with contextlib.suppress(OSError, ValueError):
                print("healing and tearing down; once more to leave at once", file=sys.stderr)
        else:
            self._leave(EXIT_ABORTED)
