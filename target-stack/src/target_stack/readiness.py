"""Start-up: the gateway is ready once each thing that it needs has answered once.

After that it stays ready. A gateway that reported itself unready because a dependency is down would be taken out of
service just when its ladder is needed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus

import aiohttp

from target_stack.failures import DependencyError, FailureKind
from target_stack.http_peer import HttpPeer
from target_stack.log import log

__all__ = ["Readiness", "expect_one_ready", "expect_ready", "healthy"]

PAUSE_S = 0.05
ATTEMPT_S = 2.0


class Readiness:
    """Tries each check until it succeeds. `run` is one task of the gateway's."""

    def __init__(self, checks: Mapping[str, Callable[[], Awaitable[None]]]) -> None:
        self._checks = checks
        self._waiting = set(checks)

    @property
    def waiting_for(self) -> list[str]:
        """Names of what has not answered yet."""
        return sorted(self._waiting)

    async def run(self) -> None:
        """Return when every check has succeeded."""
        async with asyncio.TaskGroup() as group:
            for name, check in self._checks.items():
                group.create_task(self._until_it_answers(name, check))

    async def _until_it_answers(self, name: str, check: Callable[[], Awaitable[None]]) -> None:
        while True:
            try:
                async with asyncio.timeout(ATTEMPT_S):
                    await check()
            except (DependencyError, TimeoutError) as error:
                log.debug("waiting", extra={"dependency": name, "error": type(error).__name__})
                await asyncio.sleep(PAUSE_S)
            else:
                self._waiting.discard(name)
                return


async def expect_ready(name: str, peer: HttpPeer) -> None:
    """Ask a service once; raise DependencyError when it does not say that it is ready."""
    try:
        async with peer.client() as client, client.get("/health/ready") as response:
            await response.read()
    except aiohttp.ClientError as error:
        raise DependencyError(name, type(error).__name__, kind=FailureKind.UNREACHABLE) from error
    if response.status != HTTPStatus.OK:
        raise DependencyError(name, f"status {response.status}", kind=FailureKind.STATUS)


async def expect_one_ready(peers: Mapping[str, HttpPeer]) -> None:
    """Ask each once until one is ready; raise the first one's DependencyError when none is."""
    errors = []
    for name, peer in peers.items():
        try:
            await expect_ready(name, peer)
        except DependencyError as error:
            errors.append(error)
        else:
            return
    raise errors[0]


async def healthy(peer: HttpPeer, limit: float) -> bool:
    """Return whether `GET /health` answers 200 within so many seconds."""
    try:
        async with asyncio.timeout(limit), peer.client() as client, client.get("/health") as response:
            await response.read()
            return response.status == HTTPStatus.OK
    except (aiohttp.ClientError, TimeoutError):
        return False
