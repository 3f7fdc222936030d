"""A docker target that is up, and what is left at the engine."""

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable, Collection, Iterator
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


def left(*, run: str | None = None, by: Collection[int] = ()) -> list[str]:
    """What is at the engine of a run, or of the harnesses with these process numbers. What others have is theirs."""
    found = {"label": labels.RUN if run is None else f"{labels.RUN}={run}"}
    with contextlib.closing(docker.from_env()) as client:
        return [
            f"{what} {one.name}"
            for what, one in _at(client, filters=found)
            if not by or _owner(one) in {str(pid) for pid in by}
        ]


def everything() -> set[str]:
    """All that is at the engine, whether it bears a label or not, but for what other harnesses have there."""
    with contextlib.closing(docker.from_env()) as client:
        found = list(_at(client))
    # A volume without a label is part of a container, by which it is known whose it is.
    used = {mount.get("Name") for what, one in found if what == "container" for mount in one.attrs["Mounts"]}
    return {
        f"{what} {one.name}"
        for what, one in found
        if _owner(one) in ("", str(os.getpid())) and not (what == "volume" and one.name in used)
    }


def _at(client: "docker.DockerClient", **how: Any) -> Iterator[tuple[str, Any]]:
    yield from (("container", one) for one in client.containers.list(all=True, ignore_removed=True, **how))
    yield from (("network", one) for one in client.networks.list(**how))
    yield from (("volume", one) for one in client.volumes.list(**how))


def _owner(one: Any) -> str:
    """The process number of the harness whose it is."""
    found = getattr(one, "labels", None) or one.attrs.get("Labels") or {}
    owner: str = found.get(labels.OWNER, "")
    return owner.partition(":")[0]
