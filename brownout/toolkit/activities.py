"""What the compiled experiment calls: each activity turns to the run that the control opened, and waits for it.

The names and parameters are part of the compiled format.
"""

from typing import Any

from brownout.experiment import Block
from brownout.toolkit.bridge import current, is_open


def steady_state(index: int) -> dict[str, Any]:
    """The verdict of one steady-state check: before the method, and again at the end of the run."""
    return current().steady_state(index)


def inject(step: int) -> str:
    """Wait for the step's time, then enter its fault; returns once it is really on."""
    return current().inject(step)


def withdraw(step: int) -> str:
    """Wait for the step's end; returns once its fault is really healed."""
    return current().withdraw(step)


def recover() -> str:
    """Keep the load on until the end of the run."""
    return current().recover()


def expect(block: Block, index: int) -> dict[str, Any]:
    """The verdict of one check of `during` or `after`."""
    return current().expect(block, index)


def heal() -> str:
    """Heal whatever is still broken. Harmless when nothing is."""
    return current().heal() if is_open() else "nothing was started"
