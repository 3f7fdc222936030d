"""How `pytest -n3 tests/kubernetes` shares out its work, and who has the node: many side by side, or one alone."""

import fcntl
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from xdist.scheduler import LoadScopeScheduling

OF_STACK = ("test_stack.py", "test_experiments.py")
STACKS = 2
"""How many of the reference stack there are at once: a third asks for more of the processor than two cores have."""


class ByModule(LoadScopeScheduling):
    """A module is one worker's, as its fixtures are; but what is on the reference stack is halved.

    Not by marks, as `--dist loadgroup` has it: xdist 3.8 puts them into names that pytest 9.2 does not let it change.
    """

    def _split_scope(self, nodeid: str) -> str:
        of_stack = [one for one in self.collection or () if _module(one) in OF_STACK]
        if nodeid not in of_stack:
            return _module(nodeid)
        return f"stack {of_stack.index(nodeid) * STACKS // len(of_stack)}"


def _module(nodeid: str) -> str:
    return nodeid.partition("::")[0].rpartition("/")[2]


@contextmanager
def shared(folder: Path) -> Iterator[None]:
    """Beside others; not while somebody has it for itself, or waits to."""
    with ExitStack() as held:
        with _held(folder / "next", fcntl.LOCK_EX):
            held.enter_context(_held(folder / "node", fcntl.LOCK_SH))
        yield


@contextmanager
def alone(folder: Path) -> Iterator[None]:
    """When all others are done with it. Those that come meanwhile wait, so that it is not waited for ever."""
    with _held(folder / "next", fcntl.LOCK_EX), _held(folder / "node", fcntl.LOCK_EX):
        yield


@contextmanager
def _held(path: Path, how: int) -> Iterator[None]:
    with path.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, how)
        yield
