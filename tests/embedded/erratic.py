"""Harnesses that break and heal links and services at random, until they are killed. A program: `erratic FOLDER`.

For each number on standard input a harness is forked, with the number as its seed; each tells its pid and what its
undoing needs, as a line of JSON, when it is up. So everything is imported but once, and all are one process tree.
"""

import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import cast

from brownout.breakage import (
    Blackhole,
    Breakage,
    CrashLoop,
    Delay,
    ExhaustFds,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    LinkPlace,
    Place,
    Reset,
    ServicePlace,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.clock import RunClock
from brownout.errors import FaultError
from brownout.evidence.model import Proof
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HeldPorts
from brownout.fixtures.embedded.stack import LINKS, SERVICES
from brownout.fixtures.embedded.target import TOPOLOGY
from brownout.fixtures.embedded.undo import recovery_of
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName, Topology
from brownout.target import Target
from tests.embedded.victims import Victims

VICTIMS = ("cache", "vector-db", "gateway")
LINK_BREAKAGES: Sequence[Breakage] = (Blackhole(), Reset(), Delay(latency=0.1))
SERVICE_BREAKAGES: Sequence[Breakage] = (
    Kill(),
    Stop(grace=0.05),
    Freeze(),
    CrashLoop(up_for=0.02),
    SlowStart(delay=0.1),
    StarveCpu(share=0.2),
    StarveCpu(share=0.2, manner="duty-cycle"),
    LimitMemory(headroom=0),
    ExhaustFds(),
    LimitFileSize(at_most=0),
)


class Tiny:
    """The embedded target's own faults, on victims instead of the reference stack."""

    topology: Topology = TOPOLOGY

    def __init__(self, victims: Victims, links: Links) -> None:
        self._services = victims.services
        self._links = links
        self._of: dict[str, Place] = {}

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        self._of[lease] = place
        if isinstance(place, ServicePlace):
            await self._services.inject(place, breakage, lease=lease, ttl=ttl)
        else:
            await self._links.inject(place, breakage, lease=lease, ttl=ttl)

    async def renew(self, lease: str, *, ttl: float) -> None:
        await self._at(self._of[lease]).renew(lease, ttl=ttl)

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        await self._at(place).heal(lease)

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        return await self._at(place).prove(place, breakage, lease=lease)

    def _at(self, place: Place) -> "Links | object":
        return self._services if isinstance(place, ServicePlace) else self._links


async def be_erratic(folder: Path, seed: int) -> None:
    rng = random.Random(seed)
    held = HeldPorts()
    ports = held.hold([*SERVICES, *LINKS.values()], {})
    run = f"erratic-{seed}"
    with Ledger.open() as ledger:
        ledger.begin(RunRow(run, current(), "embedded", {}, folder, time.time()))
        async with Victims.up(folder, *VICTIMS, scale=0.02) as victims:
            links = Links(victims.supervised, seed=seed, token="token")
            await links.up(ports)
            recovery = recovery_of(victims.supervised)
            ledger.recover_with(run, recovery)
            system = LiveSystem(
                cast("Target", Tiny(victims, links)),
                ledger,
                run,
                clock=RunClock(),
                on_error=lambda error: os.write(2, f"{run}: {error}\n".encode()) and None,
                renew_every=0.05,
            )
            told = json.dumps({"pid": os.getpid(), "run": run, "recovery": recovery}) + "\n"
            os.write(1, told.encode())
            async with asyncio.TaskGroup() as group:
                for _ in range(3):
                    group.create_task(break_and_heal(system, rng))


async def break_and_heal(system: LiveSystem, rng: random.Random) -> None:
    while True:
        if rng.random() < 0.3:
            place = LinkPlace(*rng.choice(list(LINKS)))
            broken = system.link(ServiceName(place.source), ServiceName(place.destination))
            breakage = rng.choice(LINK_BREAKAGES)
        else:
            broken = system.service(ServiceName(rng.choice(VICTIMS)))
            breakage = rng.choice(SERVICE_BREAKAGES)
        try:
            async with broken.broken(breakage):
                await asyncio.sleep(rng.uniform(0.0, 0.05))
        except FaultError:
            # The others may have taken the service away.
            await asyncio.sleep(0.005)


def main(folder: Path) -> None:
    for line in sys.stdin:
        if os.fork() == 0:
            asyncio.run(be_erratic(folder, int(line)))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
