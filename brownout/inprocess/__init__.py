"""Provider failures inside a unit test: no stack, no server, no network; the bytes of the same dialects.

    with provider_fault("openai", "overloaded", first=2):
        ...                       # your code, with its own client; docs/in-process.md

A `ProviderFault` can be entered, and then it answers for every client of httpx, httpx2 or botocore in the process; or
it can be given to one client alone, as a `ChaosTransport`; or to respx, as a side effect.
"""

from brownout.inprocess.fault import (
    NothingMet,
    Outage,
    ProviderFault,
    healthy_provider,
    provider_fault,
    provider_outage,
)
from brownout.inprocess.pace import INSTANT, REAL_TIME, Pace, WaitsForever
from brownout.inprocess.transport import ChaosTransport

__all__ = [
    "INSTANT",
    "REAL_TIME",
    "ChaosTransport",
    "NothingMet",
    "Outage",
    "Pace",
    "ProviderFault",
    "WaitsForever",
    "healthy_provider",
    "provider_fault",
    "provider_outage",
]
