"""A pooled HTTP client for one dependency, whose connections can be replaced without cutting calls under way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpcore
import httpx

from target_stack.naming import Resolver, resolving_backend

__all__ = ["HttpPeer"]


class _Transport(httpx.AsyncHTTPTransport):
    def __init__(self, *, verify: bool, limits: httpx.Limits, resolver: Resolver | None) -> None:
        super().__init__(verify=verify, limits=limits, trust_env=False)
        if resolver is not None:
            # httpx hands no network backend on to its pool, so this one makes the pool itself.
            self._pool = httpcore.AsyncConnectionPool(
                ssl_context=httpx.create_ssl_context(verify=verify, trust_env=False),
                max_connections=limits.max_connections,
                max_keepalive_connections=limits.max_keepalive_connections,
                keepalive_expiry=limits.keepalive_expiry,
                network_backend=resolving_backend(resolver),
            )

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        try:
            return await super().handle_async_request(request)
        except (AttributeError, RuntimeError) as error:
            # Of a connection that was reset as soon as it was made: anyio asks the socket that is gone for its peer's
            # name, or uvloop refuses to touch its transport, and httpcore lets both through.
            raise httpx.ConnectError(str(error), request=request) from error


class _Generation:
    def __init__(self, base_url: str, connect_timeout: float | None, resolver: Resolver | None) -> None:
        self.client = httpx.AsyncClient(
            base_url=base_url,
            # Streams are read as they come off the wire.
            headers={"accept-encoding": "identity"},
            transport=_Transport(
                # Loading the trust store takes 60 ms, which a plain-text link need not pay.
                verify=base_url.startswith("https:"),
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=64, keepalive_expiry=30.0),
                resolver=resolver,
            ),
            # Every call has its own asyncio.timeout; httpx's would be a second, different limit.
            timeout=httpx.Timeout(None, connect=connect_timeout),
            trust_env=False,
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

    @asynccontextmanager
    async def client(self) -> AsyncIterator[httpx.AsyncClient]:
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
                await generation.client.aclose()

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
            await self._current.client.aclose()
            self._current = None
