"""A docker target that is up, and what is left at the engine."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import docker

from brownout.breakage import Breakage, ServicePlace
from brownout.evidence.model import Proof
from brownout.fixtures.docker import DockerTarget, labels
from brownout.target import NotAcknowledged, ServiceState, TargetOptions

T = TypeVar("T")
PATIENCE = 20.0


@dataclass
class Up:
    """A target, and the loop that it lives in."""

    target: DockerTarget
    runner: asyncio.Runner

    @classmethod
    @contextlib.contextmanager
    def started(cls, runner: asyncio.Runner, workdir: Path, **settings: bool) -> "Iterator[Up]":
        target = DockerTarget()
        options = TargetOptions(seed=7, scale=0.5, settings=settings, workdir=workdir)
        runner.run(target.up(options, lambda _: None))
        try:
            yield cls(target, runner)
        finally:
            runner.run(target.down())

    def run(self, work: Awaitable[T]) -> T:
        async def awaited() -> T:
            return await work

        return self.runner.run(awaited())

    def until(self, holds: Callable[[ServiceState], bool], name: str) -> ServiceState:
        """Wait until that is so of a service."""

        async def wait() -> ServiceState:
            async with asyncio.timeout(PATIENCE):
                while not holds(state := await self._state(name)):  # noqa: ASYNC110 - it has to be asked
                    await asyncio.sleep(0.05)
                return state

        return self.runner.run(wait())

    def state(self, name: str) -> ServiceState:
        return self.runner.run(self._state(name))

    async def _state(self, name: str) -> ServiceState:
        return next(one for one in await self.target.services() if one.name == name)

    @contextlib.contextmanager
    def broken(self, service: str, breakage: Breakage, *, ttl: float = 30.0) -> "Iterator[Callable[[], Proof]]":
        """Break it; yields what proves it."""
        place, lease = ServicePlace(service), f"test.{service}"
        self.run(self.target.inject(place, breakage, lease=lease, ttl=ttl))
        try:
            yield lambda: self.run(self.target.prove(place, breakage, lease=lease))
        finally:
            self.run(self.target.heal(place, breakage, lease=lease))

    def ask(self, question: str = "What is the weather like?") -> tuple[int, dict[str, Any]]:
        """Status and body of one answer."""
        import httpx

        door = self.target.door()
        answer = httpx.post(
            f"{door.url}/v1/chat/completions",
            headers={"Authorization": f"Bearer {door.callers[0].token}"},
            json={"model": "atlas-large", "messages": [{"role": "user", "content": question}], "max_tokens": 8},
            timeout=15.0,
            trust_env=False,
        )
        return answer.status_code, answer.json()

    def documents(self) -> int:
        """How many it holds; asked until it tells, since a breaker may still be open."""

        async def count() -> int:
            async with asyncio.timeout(PATIENCE):
                while True:
                    try:
                        return len(await self.target.stored())
                    except NotAcknowledged:
                        await asyncio.sleep(0.1)

        return self.runner.run(count())

    def fill(self, service: str, size: int) -> None:
        """Have a service take so many bytes of memory, whatever becomes of it."""
        import httpx

        assert self.target._running is not None
        url = self.target._running.url(service)
        with contextlib.suppress(httpx.TransportError):
            httpx.post(
                f"{url}/v1/chat/completions", content=b'{"model": "' + bytes(size), timeout=15.0, trust_env=False
            )


def left(run: str | None = None) -> list[str]:
    """What of a run, or of any run, is at the engine."""
    client = docker.from_env()
    found = {"label": labels.RUN if run is None else f"{labels.RUN}={run}"}
    try:
        return [
            *(f"container {one.name}" for one in client.containers.list(all=True, filters=found, ignore_removed=True)),
            *(f"network {one.name}" for one in client.networks.list(filters=found)),
            *(f"volume {one.name}" for one in client.volumes.list(filters=found)),
        ]
    finally:
        client.close()
