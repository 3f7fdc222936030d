"""The compose file brought up as a user does, its gateway asked, and its Prometheus."""

import asyncio
import contextlib
import os
import secrets
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import docker
import httpx

CHAT = "/v1/chat/completions"
PATIENCE = 90.0
_AT_ONCE, _FREE = 700, 80
"""More than are worked on and wait; and more than a user of the free tier may ask at once."""


@dataclass(frozen=True)
class Compose:
    """`docker compose`, on a project of its own."""

    argv: Sequence[str]
    project: str

    @classmethod
    def of(cls, command: Sequence[str], file: Path) -> Self:
        project = f"brownout-test-{secrets.token_hex(4)}"
        return cls([*command, "-p", project, "-f", str(file)], project)

    def __call__(self, *arguments: str) -> str:
        """What it says. Fails the test where it fails."""
        # Of those that are free, the engine's choice.
        ports = {"GATEWAY_PORT": "0", "PROMETHEUS_PORT": "0"}
        argv = [*self.argv, *arguments]
        done = subprocess.run(argv, env=os.environ | ports, check=False, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        return done.stdout

    @contextlib.contextmanager
    def hanging(self, *services: str) -> Iterator[None]:
        """They answer nothing meanwhile."""
        self("pause", *services)
        try:
            yield
        finally:
            self("unpause", *services)

    def url(self, service: str, port: int) -> str:
        """Where a port of a service is published."""
        return f"http://{self('port', service, str(port)).strip()}"

    def left(self) -> list[str]:
        """What of the project is at the engine."""
        found = {"label": f"com.docker.compose.project={self.project}"}
        with contextlib.closing(docker.from_env()) as client:
            return [
                *(one.name for one in client.containers.list(all=True, filters=found)),
                *(one.name for one in client.networks.list(filters=found)),
                *(one.name for one in client.volumes.list(filters=found)),
            ]


def question(number: int, *, caller: str = "look-around") -> dict[str, Any]:
    """How a question is put, as arguments of httpx."""
    content = f"Who may sign for delivery number {number}?"
    return {
        "headers": {"Authorization": f"Bearer {caller}"},
        # Left to its use, a clinic's is strict: nothing from a cache, and nothing in place of what hangs.
        "json": {"messages": [{"role": "user", "content": content}], "policy": "balanced"},
    }


async def stampede(gateway: str) -> None:
    """So much at once that queues are full and limits are reached. How each question ends is for the metrics to say."""
    limits = httpx.Limits(max_connections=None)
    async with httpx.AsyncClient(base_url=gateway, trust_env=False, timeout=PATIENCE, limits=limits) as client:
        free = (client.post(CHAT, **question(number, caller="look-around-free")) for number in range(_FREE))
        others = (client.post(CHAT, **question(1000 + number)) for number in range(_AT_ONCE))
        await asyncio.gather(*free, *others, return_exceptions=True)


class Prometheus:
    """The one of the compose file."""

    def __init__(self, url: str) -> None:
        self._url = url

    def targets(self) -> dict[str, str]:
        """What it scrapes, each with its health."""
        return {one["scrapeUrl"]: one["health"] for one in self._get("targets")["activeTargets"]}

    def until_all(self, queries: Iterable[str], *, meanwhile: Callable[[], object]) -> list[str]:
        """Ask until each of them has a series with a number; those that have none in the end.

        What is called meanwhile keeps counters moving: of what happened between two scrapes there is no rate.
        """
        left, deadline = list(queries), time.monotonic() + PATIENCE
        while left and time.monotonic() < deadline:
            meanwhile()
            left = [query for query in left if not self._numbers(query)]
            time.sleep(1.0)
        return left

    def _numbers(self, query: str) -> list[float]:
        # Grafana takes four times the interval of the scrapes at least, which is 1 s; a busy machine needs more.
        found = self._get("query", query=query.replace("$__rate_interval", "5m"))["result"]
        return [value for one in found if (value := float(one["value"][1])) == value]

    def _get(self, what: str, **parameters: str) -> Any:
        answer = httpx.get(f"{self._url}/api/v1/{what}", params=parameters, trust_env=False, timeout=10.0)
        answer.raise_for_status()
        return answer.json()["data"]
