"""A proxy: a listening port, the server behind it, the toxics between them and the connections of the moment."""

import asyncio
import contextlib
import functools
import logging
import socket
import ssl
from collections.abc import Callable, Mapping
from http import HTTPStatus
from random import Random

from brownout.proxy.address import Address, bind, bound_socket
from brownout.proxy.connection import Connection, Endpoint
from brownout.proxy.counters import Counters
from brownout.proxy.errors import ApiError, already_exists, bad_request, not_found
from brownout.proxy.http.endpoint import HttpEndpoint
from brownout.proxy.http.origin import OriginEndpoint
from brownout.proxy.schedule import Play
from brownout.proxy.scheduler import Scheduler
from brownout.proxy.toxic import TOXIC_TYPES, Stream, Toxic, with_attributes

_BACKLOG = 4096
_HTTPS_PORT = 443

log = logging.getLogger(__name__)


@functools.cache
def _verifying() -> ssl.SSLContext:
    """Trusts whom this machine trusts (`SSL_CERT_FILE` overrides it); offers no HTTP/2, which no link understands."""
    return ssl.create_default_context()


class Proxy:
    """Accepts clients and joins each with the server through the toxics. Owned by one event loop."""

    def __init__(
        self,
        *,
        name: str,
        listen: str,
        upstream: str,
        scheduler: Scheduler,
        rng: Random,
        http: bool = False,
        host: str = "",
        tls: bool = False,
        counters: Counters | None = None,
    ) -> None:
        """A disabled proxy.

        Raises:
            ApiError: an address is malformed.
        """
        self.name = name
        try:
            self.listen = Address.parse(listen or ":0")
        except ApiError as exc:
            raise ApiError(exc.status, f"listen tcp: {exc.message}") from exc
        self.upstream = Address.parse(upstream)
        self.http = http
        """Whether it is declared to carry HTTP/1.1, so that toxics may be of requests."""
        self.host = host
        """The name by which clients find it, in lower case; empty where they have its address."""
        self.tls = tls
        """Whether TLS is spoken to the upstream, while clients speak none."""
        self.counters = counters or Counters()
        self.toxics: list[Toxic] = []
        self._plays: dict[Toxic, Play] = {}
        self.disabled_by: set[str] = set()
        """Leases of which each alone keeps the proxy disabled; empty where it is enabled, or disabled for good."""
        self._scheduler = scheduler
        self._rng = rng
        self._connections: set[Connection] = set()
        self._dials: dict[Connection, asyncio.Task[None]] = {}
        self._server: asyncio.Server | None = None
        self._reserved: socket.socket | None = None

    @property
    def enabled(self) -> bool:
        return self._server is not None

    def to_json(self) -> dict[str, object]:
        """Toxiproxy's fields; `http`, `host` and `tls` only where there is such, `leases` only while they keep it
        disabled."""
        shown: dict[str, object] = {
            "name": self.name,
            "listen": str(self.listen),
            "upstream": str(self.upstream),
            "enabled": self.enabled,
            "toxics": [toxic.to_json() for toxic in self.toxics_in_order()],
        }
        if self.http:
            shown["http"] = True
        if self.host:
            shown["host"] = self.host
        if self.tls:
            shown["tls"] = True
        if self.disabled_by:
            shown["leases"] = sorted(self.disabled_by)
        return shown

    # Listening

    async def enable(self) -> None:
        """Listen; harmless if it does already.

        Raises:
            ApiError: 500, the port cannot be bound.
        """
        if self._server is None:
            loop = asyncio.get_running_loop()
            try:
                if self._reserved is None:
                    self._reserved = await bind(self.listen)
                self.listen = Address(self.listen.host, self._reserved.getsockname()[1])
                self._server = await loop.create_server(
                    lambda: self._new_connection().client, sock=self._reserved, backlog=_BACKLOG
                )
            except OSError as exc:
                self._release_port()
                msg = f"listen tcp {self.listen}: bind: {(exc.strerror or str(exc)).lower()}"
                raise ApiError(HTTPStatus.INTERNAL_SERVER_ERROR, msg) from exc
            self._reserved = None
        self.disabled_by.clear()

    async def disable(self, *, lease: str | None = None) -> None:
        """Refuse clients and drop those connected. With a lease, `release` undoes it; without, only `enable` does."""
        if lease is None:
            self.disabled_by.clear()
        elif self.enabled or self.disabled_by:
            self.disabled_by.add(lease)
        await self._stop()

    async def _stop(self) -> None:
        if self._server is None:
            return
        where = self._server.sockets[0].getsockname()
        family = self._server.sockets[0].family
        self._server.close()
        self._server = None
        # Bound but not listening: clients are refused, and no other socket on this machine is given the port
        # meanwhile (an outgoing connection might be), so that the proxy can come back on it.
        with contextlib.suppress(OSError):
            self._reserved = bound_socket(family, where)
        await self._drop_connections()

    async def release(self, lease: str) -> None:
        """The lease is over: enable the proxy if that alone kept it disabled. Raises ApiError (500), as `enable`."""
        if self.disabled_by == {lease}:
            await self.enable()
        self.disabled_by.discard(lease)

    async def close(self) -> None:
        """Drop everything, toxics included, and let go of the port."""
        await self._stop()
        self._release_port()
        self.remove_toxics(self.toxics)

    async def move(self, *, listen: Address, upstream: Address) -> None:
        """Change the addresses: drops all connections and leaves the proxy disabled."""
        await self._stop()
        self._release_port()
        self.listen = listen
        self.upstream = upstream

    def _release_port(self) -> None:
        if self._reserved is not None:
            self._reserved.close()
            self._reserved = None

    # Toxics

    def toxics_in_order(self) -> list[Toxic]:
        """As Toxiproxy lists them: upstream before downstream, each in order of creation."""
        return sorted(self.toxics, key=lambda toxic: toxic.stream is Stream.DOWNSTREAM)

    def toxic(self, name: str) -> Toxic:
        """Raises ApiError (404) if there is none of that name."""
        for toxic in self.toxics:
            if toxic.name == name:
                return toxic
        raise not_found("toxic")

    def add_toxic(self, toxic: Toxic) -> None:
        """Takes effect at once, on existing connections too.

        Raises:
            ApiError: 409 if the name is taken, 400 if the toxic is of requests and the proxy not declared to carry any,
                or of a host name and it has none.
        """
        if TOXIC_TYPES[toxic.type].http and not self.http:
            raise bad_request(f'{toxic.type} is for proxies that were made with "http": true; this one was not')
        if TOXIC_TYPES[toxic.type].named and not self.host:
            raise bad_request(f'{toxic.type} is for proxies that were made with a "host"; this one was not')
        if any(existing.name == toxic.name for existing in self.toxics):
            raise already_exists("toxic")
        self.toxics.append(toxic)
        if toxic.schedule is not None:
            self._plays[toxic] = Play(
                toxic.schedule, self._scheduler, functools.partial(self._set_value, toxic, toxic.schedule.of)
            )
        self._apply(toxic.stream)

    def update_toxic(self, name: str, *, attributes: Mapping[str, object], toxicity: float | None) -> Toxic:
        """Change what is given, keep the rest. Raises ApiError (404, 400)."""
        toxic = self.toxic(name)
        toxic.attributes = with_attributes(toxic.attributes, attributes)
        toxic.toxicity = toxic.toxicity if toxicity is None else toxicity
        self._changed(toxic)
        return toxic

    def remove_toxics(self, toxics: list[Toxic]) -> None:
        """Heal those; data held back by them flows on at once."""
        for toxic in toxics:
            if toxic in self._plays:
                self._plays.pop(toxic).stop()
        self.toxics = [kept for kept in self.toxics if kept not in toxics]
        for stream in Stream:
            self._apply(stream)

    def _set_value(self, toxic: Toxic, of: str, value: float) -> None:
        before = (toxic.attributes, toxic.toxicity)
        toxic.set_value(of, value)
        if before != (toxic.attributes, toxic.toxicity):
            self._changed(toxic)

    def _changed(self, toxic: Toxic) -> None:
        for connection in list(self._connections):
            connection.link(toxic.stream).update(toxic)
        self._apply(toxic.stream)

    def _apply(self, stream: Stream) -> None:
        toxics = [toxic for toxic in self.toxics if toxic.stream is stream]
        for connection in list(self._connections):
            if connection.server.transport is not None:
                connection.link(stream).apply(toxics)

    # Connections

    def _new_connection(self) -> Connection:
        return Connection(
            counters=self.counters,
            scheduler=self._scheduler,
            rng=self._rng,
            accepted=self._accepted,
            dialled=self._dialled,
            gone=self._gone,
            server=self._endpoint(),
        )

    def _endpoint(self) -> Callable[..., Endpoint]:
        if not self.http:
            return Endpoint
        if not self.tls:
            return HttpEndpoint
        host = self.upstream.host if self.upstream.port == _HTTPS_PORT else str(self.upstream)
        return functools.partial(OriginEndpoint, host=host)

    def _accepted(self, connection: Connection) -> None:
        self.counters.connections_opened += 1
        self.counters.connections_active += 1
        self._connections.add(connection)
        self._dials[connection] = asyncio.get_running_loop().create_task(self._dial(connection))

    async def _dial(self, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        try:
            await loop.create_connection(
                lambda: connection.server,
                self.upstream.host,
                self.upstream.port,
                ssl=_verifying() if self.tls else None,
            )
        except (OSError, UnicodeError) as exc:  # the latter: a host name that cannot be one
            if isinstance(exc, ssl.SSLError):
                log.warning("no TLS with %s: %s", self.upstream, exc)
            self.counters.dial_failures += 1
            connection.close()
        finally:
            self._dials.pop(connection, None)

    def _dialled(self, connection: Connection) -> None:
        if self.toxics:
            for stream in Stream:
                connection.link(stream).apply([toxic for toxic in self.toxics if toxic.stream is stream])

    def _gone(self, connection: Connection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            self.counters.connections_active -= 1

    async def _drop_connections(self) -> None:
        dials = list(self._dials.values())
        for dial in dials:
            dial.cancel()
        await asyncio.gather(*dials, return_exceptions=True)
        for connection in list(self._connections):
            connection.abort()
