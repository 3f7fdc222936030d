"""A whole run of an experiment, as `chaos run` does it, in a process of its own.

The Chaos Toolkit's engine keeps one experiment a process in globals, and the load is timed: it must not share the
interpreter with whatever else goes on. The process dies with its parent, however that ends: told by SIGTERM, it heals
and takes everything down.
"""

import os
import signal
import sys
from collections.abc import Sequence

GRACE = 60.0
"""Seconds in which an interrupted run heals and takes everything down, before it is killed."""


def command(arguments: Sequence[str], *, settings: str | None = None) -> Sequence[str]:
    """What to start for `chaos run` with these arguments. In a session of its own: Ctrl-C is its parent's, and the run
    hears of it from there, once.

    `settings` is the path of the Chaos Toolkit's settings file, where it is not the usual one.
    """
    more = () if settings is None else ("--settings", settings)
    chaos = (*("-m", "chaostoolkit", "--no-version-check", "--log-file", os.devnull), *more, "run")
    child = ("-m", "brownout.child", str(os.getpid()), str(int(signal.SIGTERM)))
    return [sys.executable, *child, sys.executable, *chaos, *arguments]
