"""A pooled HTTP client for one dependency, whose connections can be replaced without cutting calls under way."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from target_stack.http_transport import Transport
from target_stack.naming import Resolver

__all__ = ["HttpPeer"]


class _Client(httpx.AsyncClient):
    """Without cookies, redirects, authentication and hooks: no call here has any, and looking for them in the two calls
    of a request took 5 % of the gateway's time."""

    def __init__(self, transport: Transport, *, base_url: str, headers: dict[str, str], timeout: httpx.Timeout) -> None:
        super().__init__(transport=transport, base_url=base_url, headers=headers, timeout=timeout, trust_env=False)
        self._sender = transport

    async def send(
        self, request: httpx.Request, *, stream: bool = False, auth: object = None, follow_redirects: object = None
    ) -> httpx.Response:
        response = await self._sender.handle_async_request(request)
        response.request = request
        if not stream:
            try:
                await response.aread()
            finally:
                await response.aclose()
        return response


class _Generation:
    def __init__(self, base_url: str, connect_timeout: float | None, resolver: Resolver | None) -> None:
        self.client = _Client(
            Transport(
                # Loading the trust store takes 60 ms, which a plain-text link need not pay.
                verify=base_url.startswith("https:"),
                resolver=resolver,
                max_idle=64,
                idle_expiry=30.0,
            ),
            base_url=base_url,
            # Streams are read as they come off the wire.
            headers={"accept-encoding": "identity"},
            # Every call has its own asyncio.timeout; httpx's would be a second, different limit.
            timeout=httpx.Timeout(None, connect=connect_timeout),
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

    def url(self, path: str) -> httpx.URL:
        """Return the whole URL of a path, for calls that are made often: to put it together takes httpx 0.1 ms."""
        return httpx.URL(self._base_url + path)

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
