"""What tests of the embedded target ask of it and of the machine."""

import asyncio
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass

import httpx
import psutil

from brownout.fixtures.embedded import EmbeddedTarget

PATIENCE = 60.0
"""Seconds that is waited for what takes a fraction of one: on a machine that others keep busy it may take many."""


@dataclass(frozen=True)
class Up:
    """A target that is up, and the loop it lives on."""

    target: EmbeddedTarget
    runner: asyncio.Runner

    async def ask(self, tenant: str, question: str) -> httpx.Response:
        """Ask the gateway one question as a caller of that tenant."""
        door = self.target.door()
        caller = next(caller for caller in door.callers if caller.tenant == tenant)
        async with httpx.AsyncClient(trust_env=False, timeout=20.0) as client:
            return await client.post(
                f"{door.url}/v1/chat/completions",
                headers={"Authorization": f"Bearer {caller.token}"},
                json={"model": "any", "messages": [{"role": "user", "content": question}]},
            )


def listening(port: int) -> bool:
    """Whether anything takes connections on a loopback port."""
    with socket.socket() as probe:
        probe.settimeout(1.0)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def all_end(processes: Sequence[psutil.Process], *, within: float) -> bool:
    """Whether they all end in that many seconds. What has ended and waits for its parent to notice has ended."""
    deadline = time.monotonic() + within
    while any(still_runs(process) for process in processes):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def still_runs(process: psutil.Process) -> bool:
    """Whether it has not ended."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def descendants(pid: int) -> list[psutil.Process]:
    """Every process below that one."""
    return psutil.Process(pid).children(recursive=True)
