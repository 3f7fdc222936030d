"""A pooled HTTP client for one dependency, whose connections can be replaced without cutting calls under way.

aiohttp's: each piece of a stream passes through the client, for which httpx takes four times the processor time, and
httpx over aiohttp (httpx-aiohttp) one and a half times (benchmarks/README.md).
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from target_stack.naming import Resolver, UnresolvedError

__all__ = ["HttpPeer"]

IDLE_S = 30.0
"""How long an idle connection is kept."""


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
    def __init__(self, base_url: str, connect_timeout: float | None, resolver: Resolver | None) -> None:
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
        self.retired = False


class HttpPeer:
    """`client()` for the length of one call. `connect_timeout` in seconds; without a resolver it is the system's."""

    def __init__(
        self, base_url: str, *, connect_timeout: float | None = None, resolver: Resolver | None = None
    ) -> None:
        self._base_url = base_url
        self._connect_timeout = connect_timeout
        self._resolver = resolver
        self._current: _Generation | None = None

    def url(self, path: str) -> URL:
        """Return the whole URL of a path, for calls that are made often."""
        return URL(self._base_url + path)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[aiohttp.ClientSession]:
        """Yield the client that new calls use."""
        if self._current is None:
            self._current = _Generation(self._base_url, self._connect_timeout, self._resolver)
        generation = self._current
        generation.users += 1
        try:
            yield generation.client
        finally:
            generation.users -= 1
            if generation.retired and not generation.users:
                await generation.client.close()

    def renew(self) -> None:
        """Let new calls open new connections; the old ones close when the last call on them ends.

        For the moment when the breaker opens: an idle connection over a link that was cut looks alive, and each would
        cost a half-open probe.
        """
        if self._current is not None:
            self._current.retired = True
            self._current = None

    async def aclose(self) -> None:
        """Close all idle connections."""
        if self._current is not None:
            await self._current.client.close()
            self._current = None
