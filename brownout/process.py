"""Which process it is: a pid alone is not enough, since pids are used again.

Read from Linux's /proc (proc(5), https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: field 3 is the state,
field 22 the start time in clock ticks since boot).
"""

import contextlib
import os
import signal
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_POLL = 0.01


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process, for as long as this machine remembers it."""

    pid: int
    started: str
    """The machine's boot and the tick of it in which the process began."""

    def alive(self) -> bool:
        """Whether that very process still runs; one that has ended and waits to be reaped does not."""
        return identify(self.pid) == self


def identify(pid: int) -> ProcessId | None:
    """The process that has this pid now; None where there is none, or only what is left of one."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The second field is the command's name in parentheses, and may itself hold spaces and parentheses.
    fields = stat[stat.rindex(b")") + 2 :].split()
    if fields[0] in (b"Z", b"X"):
        return None
    boot = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    return ProcessId(pid, f"{boot}/{int(fields[19])}")


def current() -> ProcessId:
    """This process."""
    me = identify(os.getpid())
    if me is None:
        msg = "this process is not listed in /proc"
        raise RuntimeError(msg)
    return me


def send(process: ProcessId, number: signal.Signals) -> bool:
    """Signal that very process; False where it is gone."""
    if not process.alive():
        return False
    with contextlib.suppress(ProcessLookupError):
        os.kill(process.pid, number)
        return True
    return False


def end(processes: Sequence[ProcessId], *, grace: float) -> Sequence[ProcessId]:
    """Ask them to end, wait up to `grace` seconds, then kill them; return those that had to be signalled.

    Blocks: for a command, or for a thread of its own.
    """
    signalled = [process for process in processes if send(process, signal.SIGTERM)]
    if not wait_for(signalled, patience=grace):
        for process in signalled:
            send(process, signal.SIGKILL)
        wait_for(signalled, patience=grace)
    return signalled


def wait_for(processes: Sequence[ProcessId], *, patience: float) -> bool:
    """Wait up to `patience` seconds for them to end by themselves; tells whether they have. Blocks, as `end` does."""
    deadline = time.monotonic() + patience
    while any(process.alive() for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL)
    return True
