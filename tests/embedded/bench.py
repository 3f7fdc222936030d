"""One service to break, and the marks of what not every machine can do to one."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from brownout.breakage import SkewClock
from brownout.fixtures.embedded import machine
from brownout.fixtures.embedded.supervisor import cgroups as groups
from tests.embedded.victims import Victims

MIB = 2**20
QUOTA = pytest.param(
    "quota",
    marks=pytest.mark.skipif(groups.lacking("cpu") is not None, reason=groups.lacking("cpu") or ""),
)
MEMORY_CGROUPS = pytest.mark.skipif(groups.lacking("memory") is not None, reason=groups.lacking("memory") or "")
FAKETIME = pytest.mark.skipif(SkewClock.kind in machine.lacking(), reason=machine.lacking().get(SkewClock.kind, ""))


def on_a_victim(play: Callable[[Victims], Awaitable[None]], logs: Path) -> None:
    async def run() -> None:
        async with Victims.up(logs, "victim") as victims:
            await play(victims)

    asyncio.run(run())
