"""Harnesses that break and heal links and services at random, until they are killed. A program: `erratic FOLDER`.

For each number on standard input a harness is forked, with the number as its seed; each tells its pid and what its
undoing needs, as a line of JSON, when it is up. So everything is imported but once, and all are one process tree.

With `erratic FOLDER SOCKET`, a number of an open socket, each harness hands over its ends of the supervisor's pipes:
then the supervisor does not notice its death, and goes on with the services and the fault proxy, as on another machine.
"""

import asyncio
import json
import os
import random
import signal
import socket
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from brownout.breakage import (
    Blackhole,
    Breakage,
    CapMemory,
    CrashLoop,
    Delay,
    ExhaustFds,
    ExhaustGpuMemory,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    LinkPlace,
    Reset,
    SkewClock,
    SlowDisk,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.clock import RunClock
from brownout.errors import FaultError
from brownout.fixtures.embedded import readiness
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.machine import lacking
from brownout.fixtures.embedded.ports import HeldPorts
from brownout.fixtures.embedded.readiness import Readiness
from brownout.fixtures.embedded.stack import LINKS, SERVICES
from brownout.fixtures.embedded.supervisor.child import PR_SET_PDEATHSIG, prctl
from brownout.fixtures.embedded.target import TOPOLOGY
from brownout.fixtures.embedded.undo import recovery_of
from brownout.injection import LiveSystem
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName, System
from brownout.target import Target
from tests.embedded.victims import Victims, VictimTarget

VICTIMS = ("cache", "vector-db", "gateway")
TTL = 1.0
"""Seconds, of every lease that somebody waits for to lapse."""
LONG_TTL = 60.0
"""Of those that nobody waits for: renewed in time however busy the machine is."""
PROXIES = [LINKS[link] for link in TOPOLOGY.links]
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
    ExhaustGpuMemory(leave=0, memory="host"),
    ExhaustFds(),
    LimitFileSize(at_most=0),
    CapMemory(headroom=0),
    SlowDisk(rate=1000),
    SkewClock(seconds=60.0),
)


async def be_erratic(folder: Path, seed: int, successor: int | None) -> None:
    ttl = LONG_TTL if successor is None else TTL
    readiness.SHUT_FOR = ttl
    rng = random.Random(seed)
    held = HeldPorts()
    ports = held.hold([*SERVICES, *PROXIES], {})
    run = f"erratic-{seed}"
    with Ledger.open() as ledger:
        ledger.begin(RunRow(run, current(), "embedded", {}, folder, time.time()))
        async with Victims.up(folder, *VICTIMS, scale=0.02) as victims:
            links = Links(victims.supervised, seed=seed, token="token")
            # Every link leads to somebody.
            leads = {name: victims.ports[VICTIMS[index % len(VICTIMS)]] for index, name in enumerate(SERVICES)}
            await links.up({**ports, **leads, **victims.ports})
            recovery = recovery_of(victims.supervised)
            ledger.recover_with(run, recovery)
            system = LiveSystem(
                cast("Target", VictimTarget(victims, TOPOLOGY, links)),
                ledger,
                run,
                clock=RunClock(),
                on_error=lambda error: os.write(2, f"{run}: {error}\n".encode()) and None,
                ttl=ttl,
                renew_every=0.05,
            ).watched(lambda _: None)
            told = json.dumps({"pid": os.getpid(), "run": run, "recovery": recovery}) + "\n"
            os.write(1, told.encode())
            if successor is not None:
                hand_over(victims, links, [ports[name] for name in PROXIES], held, successor)
            async with asyncio.TaskGroup() as group:
                group.create_task(Readiness(victims.supervised, links, victims.services).guard(VICTIMS))
                for _ in range(3):
                    group.create_task(break_and_heal(system, rng))


def hand_over(victims: Victims, links: Links, ports: Sequence[int], held: HeldPorts, successor: int) -> None:
    """Let someone else have our ends of the supervisor's pipes as well, and know where the links are.

    The ports that are held as well: else whoever opens a connection might be given that of a service that is down.
    """
    pipes = cast("Any", victims.supervised)._process._transport
    ends = [pipes.get_pipe_transport(number).get_extra_info("pipe").fileno() for number in (0, 1)]
    control = cast("Any", links)._control._client._url
    told = {"run_pid": os.getpid(), "control": control, "links": list(ports)}
    ends += [one.fileno() for ports_ in (held, victims.held) for one in cast("Any", ports_)._sockets.values()]
    with socket.socket(fileno=os.dup(successor)) as to:
        socket.send_fds(to, [json.dumps(told).encode()], ends)


async def break_and_heal(system: System, rng: random.Random) -> None:
    while True:
        if rng.random() < 0.3:
            place = LinkPlace(*rng.choice(TOPOLOGY.links))
            broken = system.link(ServiceName(place.source), ServiceName(place.destination))
            breakage = rng.choice(LINK_BREAKAGES)
        else:
            broken = system.service(ServiceName(rng.choice(VICTIMS)))
            breakage = rng.choice([one for one in SERVICE_BREAKAGES if one.kind not in lacking()])
        try:
            async with broken.broken(breakage):
                await asyncio.sleep(rng.uniform(0.0, 0.05))
        except FaultError:
            # The others may have taken the service away.
            await asyncio.sleep(0.005)


def main(folder: Path, successor: int | None = None) -> None:
    for line in sys.stdin:
        if os.fork() == 0:
            # None shall outlive a test that failed.
            prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            asyncio.run(be_erratic(folder, int(line), successor))


if __name__ == "__main__":
    main(Path(sys.argv[1]), *map(int, sys.argv[2:]))
