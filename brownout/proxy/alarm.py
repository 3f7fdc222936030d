"""An alarm clock for an event loop, to the microsecond: Linux's timerfd.

The loops' own timers count whole milliseconds, which sends everything due within one of them off in one burst.
"""

import asyncio
import ctypes
import os
import time
from collections.abc import Callable

# timerfd_create(2); <time.h>, <sys/timerfd.h>. Python wraps them since 3.13 only.
_CLOCK_MONOTONIC = 1
_ABSOLUTE = 1
_FLAGS = os.O_NONBLOCK | os.O_CLOEXEC
_NS = 10**9
# An alarm further off than this goes off on the way, because the kernel refuses absurd moments.
_FARTHEST_S = 3600.0


class _Spec(ctypes.Structure):
    """`struct itimerspec`."""

    _fields_ = (
        ("interval_s", ctypes.c_long),
        ("interval_ns", ctypes.c_long),
        ("value_s", ctypes.c_long),
        ("value_ns", ctypes.c_long),
    )


class Alarm:
    """Set to one moment on the monotonic clock; from then on it rings at every turn of the loop until set anew."""

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Callable[[], None]) -> None:
        """Raises OSError: the system gives no timer."""
        libc = ctypes.CDLL(None, use_errno=True)
        self._fd: int = libc.timerfd_create(_CLOCK_MONOTONIC, _FLAGS)
        if self._fd < 0:
            raise _failure("timerfd_create")
        self._loop = loop
        self._settime = libc.timerfd_settime
        self._spec = _Spec()
        self._spec_ref = ctypes.byref(self._spec)
        loop.add_reader(self._fd, ring)

    def set(self, when: float) -> None:
        """Ring once `time.monotonic()` is at least `when`, or rarely a little earlier; not at the moment set before.

        Raises:
            OSError: the alarm is closed.
        """
        when = min(max(when, 0.0), time.monotonic() + _FARTHEST_S)
        self._spec.value_s = int(when)
        # Rounded up: never early, and never all zero, which would switch it off.
        self._spec.value_ns = min(int(when % 1 * _NS) + 1, _NS - 1)
        self._apply()

    def clear(self) -> None:
        """Do not ring. Raises OSError: the alarm is closed."""
        self._spec.value_s = self._spec.value_ns = 0
        self._apply()

    def close(self) -> None:
        """Give the timer back; harmless if done before."""
        if self._fd >= 0:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _apply(self) -> None:
        # This also takes back that it has gone off, so nobody needs to read the descriptor.
        if self._settime(self._fd, _ABSOLUTE, self._spec_ref, None):
            raise _failure("timerfd_settime")


def _failure(call: str) -> OSError:
    number = ctypes.get_errno()
    return OSError(number, f"{call}: {os.strerror(number)}")
