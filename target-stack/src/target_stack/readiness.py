"""Start-up: the gateway is ready once each thing that it needs has answered once.

After that it stays ready. A gateway that reported itself unready because a dependency is down would be taken out of
service just when its ladder is needed.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from target_stack.failures import DependencyError

__all__ = ["Readiness"]

PAUSE_S = 0.05
ATTEMPT_S = 2.0

log = structlog.get_logger()


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
                log.debug("waiting", dependency=name, error=type(error).__name__)
                await asyncio.sleep(PAUSE_S)
            else:
                self._waiting.discard(name)
                return
