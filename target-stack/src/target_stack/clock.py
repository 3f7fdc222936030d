"""Time is given to whatever decides; only this module reads a clock."""

import time
from typing import Protocol


class Clock(Protocol):
    """Two readings: one that never runs backwards, and one that other processes share."""

    def monotonic(self) -> float:
        """Seconds since an arbitrary point; never runs backwards."""

    def unix(self) -> float:
        """Seconds since 1970, UTC."""


class SystemClock:
    """The machine's clocks."""

    def monotonic(self) -> float:
        return time.monotonic()

    def unix(self) -> float:
        return time.time()
