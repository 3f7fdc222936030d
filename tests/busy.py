"""How busy others keep the machine, and waiting until they do not."""

import os
import time
from dataclasses import dataclass

import psutil

BUSY = 0.2
"""Of a machine's processor time, taken by others. What a run's own traffic costs the kernel is a twentieth at most."""
LOOK = 2.0
"""Seconds over which it is looked whether they are."""


@dataclass(frozen=True)
class Cpu:
    """Processor time used up to now, in seconds."""

    at: float
    machine: float
    ours: float
    """By this process and by all that it has waited for, and so on downwards."""

    @classmethod
    def now(cls) -> "Cpu":
        used, mine = psutil.cpu_times(), os.times()
        machine = used.user + used.nice + used.system + used.irq + used.softirq + used.steal
        return cls(time.monotonic(), machine, mine.user + mine.system + mine.children_user + mine.children_system)

    def others_since(self, before: "Cpu") -> float:
        """Which share of all processors' time others took."""
        others = (self.machine - before.machine) - (self.ours - before.ours)
        return others / (self.at - before.at) / (psutil.cpu_count() or 1)


def in_time(since: Cpu, seconds: float) -> bool:
    """Whether no more than so many seconds have passed, or others are the reason that it was more."""
    now = Cpu.now()
    return now.at - since.at < seconds or now.others_since(since) > BUSY


def wait_for_calm(patience: float = 30.0) -> None:
    """Wait until others leave the machine alone, or until patience is at its end."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        before = Cpu.now()
        time.sleep(LOOK)
        if Cpu.now().others_since(before) < BUSY:
            return
