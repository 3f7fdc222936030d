"""Becomes another program, which the kernel signals should its parent end.

Use: `python -m brownout.child PARENT SIGNAL PROGRAM [ARGUMENT...]`, PARENT being the pid of whoever starts it.

Said between fork and exec by a process of its own, since who starts it has threads.
"""

import ctypes
import os
import sys

_PR_SET_PDEATHSIG = 1
"""prctl(2)."""


def main() -> None:
    parent, number, *argv = sys.argv[1:]
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(number))
    if os.getppid() != int(parent):
        sys.exit("the run has ended")
    os.execvp(argv[0], argv)  # noqa: S606 - what it is for


if __name__ == "__main__":
    main()
