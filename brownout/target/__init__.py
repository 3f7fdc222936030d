"""A target is services and links. Embedded processes, containers and pods are three implementations of this protocol.

A target does primitives only: it injects and heals one breakage at one place, under a lease. Ledger rows, lease renewal
and timing are the core's (`brownout.injection`), the same for every target.
"""

from brownout.target.model import (
    BreakerGauge,
    Caller,
    Document,
    Door,
    NotAcknowledged,
    Question,
    Setting,
    Source,
    TargetOptions,
)
from brownout.target.observed import Happening, LinkCounters, ProcessUsage, Reading, ServiceState
from brownout.target.optional import (
    Attaches,
    ChoosesProxy,
    CompiledStep,
    CompilesTo,
    HasPlatform,
    IsDescribed,
    KeepsLedger,
    KnowsDocuments,
    LoadsFromElsewhere,
    Prepares,
    Rehearses,
    TakesDescriptions,
    TakesDocuments,
)
from brownout.target.protocol import Say, Target, TargetFactory

__all__ = [
    "Attaches",
    "BreakerGauge",
    "Caller",
    "ChoosesProxy",
    "CompiledStep",
    "CompilesTo",
    "Document",
    "Door",
    "Happening",
    "HasPlatform",
    "IsDescribed",
    "KeepsLedger",
    "KnowsDocuments",
    "LinkCounters",
    "LoadsFromElsewhere",
    "NotAcknowledged",
    "Prepares",
    "ProcessUsage",
    "Question",
    "Reading",
    "Rehearses",
    "Say",
    "ServiceState",
    "Setting",
    "Source",
    "TakesDescriptions",
    "TakesDocuments",
    "Target",
    "TargetFactory",
    "TargetOptions",
]
