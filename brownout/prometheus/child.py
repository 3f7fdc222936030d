"""Becomes another program, which the kernel kills should its parent end.

Use: `python -m brownout.prometheus.child PARENT PROGRAM [ARGUMENT...]`, PARENT being the pid of whoever starts it.

Said between fork and exec by a process of its own, since the run that starts it has threads.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main() -> None:
    parent, *argv = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):
        sys.exit("the run has ended")
    os.execvp(argv[0], argv)  # noqa: S606 - what it is for


if __name__ == "__main__":
    main()
