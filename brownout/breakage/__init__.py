"""The vocabulary of what can be done to a place: data, so that it can be written to the ledger before it is done.

A fault (a scenario with a name) is made of breakages; a target says which kinds it can do (`Target.capabilities`).
A new kind is one dataclass here and its doing in each target that can; the protocol does not change.
"""

from brownout.breakage.documents import CorruptVectors, DeleteDocuments
from brownout.breakage.links import (
    Blackhole,
    Corrupt,
    Course,
    Delay,
    Direction,
    DropConnections,
    FailDns,
    Reset,
    Slice,
    SlowClose,
    StallTls,
    Throttle,
    Truncate,
)
from brownout.breakage.model import Breakage, LinkPlace, Place, Reach, ServicePlace
from brownout.breakage.pods import (
    Drain,
    Evict,
    FailImagePull,
    FailReadiness,
    RolloutRestart,
    ScaleToZero,
    SetMemoryLimit,
)
from brownout.breakage.providers import ProviderFailure
from brownout.breakage.resources import (
    CapMemory,
    ExhaustFds,
    ExhaustGpuMemory,
    FillDisk,
    LimitFileSize,
    LimitMemory,
    SlowDisk,
    StarveCpu,
)
from brownout.breakage.services import CrashLoop, Disconnect, Freeze, Kill, SkewClock, SlowStart, Stop

__all__ = [
    "Blackhole",
    "Breakage",
    "CapMemory",
    "Corrupt",
    "CorruptVectors",
    "Course",
    "CrashLoop",
    "Delay",
    "DeleteDocuments",
    "Direction",
    "Disconnect",
    "Drain",
    "DropConnections",
    "Evict",
    "ExhaustFds",
    "ExhaustGpuMemory",
    "FailDns",
    "FailImagePull",
    "FailReadiness",
    "FillDisk",
    "Freeze",
    "Kill",
    "LimitFileSize",
    "LimitMemory",
    "LinkPlace",
    "Place",
    "ProviderFailure",
    "Reach",
    "Reset",
    "RolloutRestart",
    "ScaleToZero",
    "ServicePlace",
    "SetMemoryLimit",
    "SkewClock",
    "Slice",
    "SlowClose",
    "SlowDisk",
    "SlowStart",
    "StallTls",
    "StarveCpu",
    "Stop",
    "Throttle",
    "Truncate",
]
