"""A pooled HTTP client for one dependency, whose connections can be replaced without cutting calls under way.

aiohttp's: each piece of a stream passes through the client, for which httpx takes four times the processor time, and
httpx over aiohttp (httpx-aiohttp) one and a half times (benchmarks/README.md).
"""

import math
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from target_stack.clock import Clock
from target_stack.naming import Resolver, UnresolvedError

__all__ = ["HttpPeer", "Lifetime"]

IDLE_S = 30.0
"""How long an idle connection is kept."""


@dataclass(frozen=True, slots=True)
class Lifetime:
    """For how long new calls use the same connections.

    For a name behind which there are several, as a Service of Kubernetes: who answers is chosen for a connection and
    not for a call, so one that has just come gets nothing to do as long as the others' connections are kept.
    """

    seconds: float
    clock: Clock


class _Names(AbstractResolver):
    """Our resolver, as aiohttp asks for it."""

    def __init__(self, resolver: Resolver, limit: float | None) -> None:
        self._resolver = resolver
        self._limit = limit

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            address = await self._resolver.address(host, limit=self._limit)
        except UnresolvedError as error:
            raise OSError(socket.EAI_NONAME, str(error)) from error
        return [
            ResolveResult(hostname=host, host=address, port=port, family=family, proto=0, flags=socket.AI_NUMERICHOST)
        ]

    async def close(self) -> None:
        """It holds nothing open."""


class _Generation:
    def __init__(
        self, base_url: str, connect_timeout: float | None, resolver: Resolver | None, *, until: float
    ) -> None:
        self.until = until
        self.client = aiohttp.ClientSession(
            base_url,
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_S,
                resolver=None if resolver is None else _Names(resolver, connect_timeout),
                # Names are kept for as long as their answers say, and no longer.
                use_dns_cache=False,
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            # Streams are read as they come off the wire.
            headers={"accept-encoding": "identity"},
            # One limit for the name and the connection. Each call has its own on all of it; this would be a second one.
            timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
        )
        self.users = 0


class HttpPeer:
    """`client()` for the length of one call. `connect_timeout` in seconds; without a resolver it is the system's.

    Without a lifetime connections are kept for as long as they are used.
    """

    def __init__(
        self,
        base_url: str,
        *,
        connect_timeout: float | None = None,
        resolver: Resolver | None = None,
        lifetime: Lifetime | None = None,
    ) -> None:
        self._base_url = base_url
        self._connect_timeout = connect_timeout
        self._resolver = resolver
        self._lifetime = lifetime
        self._current: _Generation | None = None
        self._retired: list[_Generation] = []

    def url(self, path: str) -> URL:
        """Return the whole URL of a path, for calls that are made often."""
        return URL(self._base_url + path)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Yield the client that new calls use."""
        generation = self._newest()
        generation.users += 1
        try:
            yield generation.client
        finally:
            generation.users -= 1
            if self._retired:
                await self._close_unused()

    def _newest(self) -> _Generation:
        now = self._lifetime.clock.monotonic() if self._lifetime is not None else 0.0
        if self._current is not None and self._current.until <= now:
            self.renew()
        if self._current is None:
            until = now + self._lifetime.seconds if self._lifetime is not None else math.inf
            self._current = _Generation(self._base_url, self._connect_timeout, self._resolver, until=until)
        return self._current

    async def _close_unused(self) -> None:
        unused = [one for one in self._retired if not one.users]
        self._retired = [one for one in self._retired if one.users]
        for one in unused:
            await one.client.close()

    def renew(self) -> None:
        """Let new calls open new connections; the old ones close when the last call on them ends, or the next one does.

        For the moment when the breaker opens: an idle connection over a link that was cut looks alive, and each would
        cost a half-open probe.
        """
        if self._current is not None:
            self._retired.append(self._current)
            self._current = None

    async def aclose(self) -> None:
        """Close all connections."""
        self.renew()
        retired, self._retired = self._retired, []
        for one in retired:
            await one.client.close()
