"""All proxies of the process by name, and the leases on what is wrong with them."""

import asyncio
import contextlib
import ipaddress
import logging
from dataclasses import dataclass
from random import Random

from brownout.dialect import installed_dialects
from brownout.errors import EnvironmentProblem
from brownout.proxy.address import Address
from brownout.proxy.counters import Counters, LinkCounters
from brownout.proxy.errors import ApiError, already_exists, bad_request, not_found
from brownout.proxy.leases import Lease, Leases
from brownout.proxy.proxy import Proxy
from brownout.proxy.scheduler import Scheduler, Timer
from brownout.proxy.toxic import Toxic

_RETRY_MS = 500

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class ProxySpec:
    """A proxy that somebody asks for. Addresses as `host:port`."""

    name: str
    listen: str
    upstream: str
    enabled: bool = True
    http: bool = False
    """Whether it is declared to carry HTTP/1.1."""
    host: str = ""
    """The name by which clients find it, in lower case; empty where they have its address."""
    tls: bool = False
    """Whether TLS is spoken to the upstream, and the upstream's name put in place of the clients' `Host`."""


class ProxyCollection:
    """The proxies and the leases. Every change goes through here, one at a time."""

    def __init__(self, *, scheduler: Scheduler, rng: Random, resolves: bool = False) -> None:
        """`resolves`: whether somebody answers DNS queries for the proxies' host names."""
        self._scheduler = scheduler
        self._resolves = resolves
        self._rng = rng
        self._proxies: dict[str, Proxy] = {}
        self._leases = Leases()
        self._lock = asyncio.Lock()
        self._timer: Timer | None = None
        self._lapsing: asyncio.Task[None] | None = None

    def proxies(self) -> list[Proxy]:
        """In the order of their names."""
        return [self._proxies[name] for name in sorted(self._proxies)]

    def get(self, name: str) -> Proxy:
        """Raises ApiError (404)."""
        if name not in self._proxies:
            raise not_found("proxy")
        return self._proxies[name]

    def counters(self) -> dict[str, LinkCounters]:
        """By proxy name."""
        return {proxy.name: proxy.counters.snapshot() for proxy in self.proxies()}

    async def add(self, spec: ProxySpec) -> Proxy:
        """Raises ApiError: 409 if the name or the host is taken, 500 if the port is, 400 if there can be no host."""
        async with self._lock:
            self._check_host(spec.name, spec.host, spec.listen)
            if spec.name in self._proxies:
                raise already_exists("proxy")
            return await self._start(spec)

    def named(self, host: str) -> Proxy | None:
        """The proxy that clients find by that name, in lower case."""
        return next((proxy for proxy in self._proxies.values() if proxy.host == host), None)

    async def add_or_replace(self, spec: ProxySpec) -> Proxy:
        """Keep the proxy of that name if it is the same, else replace it. Raises ApiError, as `add` does."""
        async with self._lock:
            self._check_host(spec.name, spec.host, spec.listen)
            existing = self._proxies.get(spec.name)
            if existing is None:
                return await self._start(spec)
            same = _addresses(spec.listen, spec.upstream) == (existing.listen, existing.upstream)
            if same and (spec.http, spec.host, spec.tls) == (existing.http, existing.host, existing.tls):
                return existing
            await existing.close()
            return await self._start(spec, counters=existing.counters)

    async def update(
        self, name: str, *, listen: str | None, upstream: str | None, enabled: bool | None, lease: str | None
    ) -> Proxy:
        """Change what is not None. New addresses drop all connections. Raises ApiError (404, 500, 400)."""
        async with self._lock:
            proxy = self.get(name)
            self._check(lease)
            wanted = proxy.enabled if enabled is None else enabled
            addresses = _addresses(
                str(proxy.listen) if listen is None else listen, str(proxy.upstream) if upstream is None else upstream
            )
            self._check_host(name, proxy.host, str(addresses[0]))
            if addresses != (proxy.listen, proxy.upstream):
                await proxy.move(listen=addresses[0], upstream=addresses[1])
            if wanted:
                await proxy.enable()
            elif enabled is not None:
                await proxy.disable(lease=lease)
            return proxy

    async def remove(self, name: str) -> None:
        """Raises ApiError (404)."""
        async with self._lock:
            await self.get(name).close()
            del self._proxies[name]

    async def reset(self) -> None:
        """Enable every proxy and remove every toxic. Raises ApiError (500)."""
        async with self._lock:
            for proxy in self.proxies():
                await proxy.enable()
                proxy.remove_toxics(proxy.toxics)

    def add_toxic(self, name: str, toxic: Toxic) -> None:
        """Raises ApiError: 404 for the proxy or the toxic's lease, otherwise as `Proxy.add_toxic` does."""
        proxy = self.get(name)
        self._check(toxic.lease)
        proxy.add_toxic(toxic)

    async def close(self) -> None:
        """Stop everything."""
        if self._timer is not None:
            self._timer.cancel()
        if self._lapsing is not None:
            self._lapsing.cancel()
            await asyncio.gather(self._lapsing, return_exceptions=True)
        for proxy in self._proxies.values():
            await proxy.close()
        self._proxies.clear()

    # Leases

    def leases(self) -> dict[str, tuple[Lease, float]]:
        """Every lease with the seconds that it still has."""
        now = self._scheduler.now()
        return {name: (lease, max(0.0, lease.expires_at - now)) for name, lease in self._leases.standing().items()}

    def renew(self, lease: str, *, ttl_ms: int) -> bool:
        """Create the lease or push its end back. True if it is new."""
        new = self._leases.renew(lease, ttl_ms=ttl_ms, now=self._scheduler.now())
        self._arm()
        return new

    async def drop(self, lease: str) -> None:
        """End a lease and heal all that it holds. Raises ApiError: 404, or 500 where a port cannot be bound again."""
        self._check(lease)
        try:
            await self._heal(lease)
        finally:
            self._arm()

    def _check_host(self, name: str, host: str, listen: str) -> None:
        if not host:
            return
        if not self._resolves:
            raise bad_request("field 'host' is for a process that was started with --dns")
        if not _is_ip(Address.parse(listen or ":0").host):
            raise bad_request("a proxy with a 'host' must listen on an IP address")
        known = self.named(host)
        if known is not None and known.name != name:
            raise already_exists("host")

    def _check(self, lease: str | None) -> None:
        if lease is not None and lease not in self._leases:
            raise not_found("lease")

    async def _heal(self, lease: str) -> None:
        async with self._lock:
            # First, so that a renewal from now on is told that it made a new lease: what the old one held is gone.
            self._leases.drop(lease)
            for proxy in self.proxies():
                proxy.remove_toxics([toxic for toxic in proxy.toxics if toxic.lease == lease])
            failed: ApiError | None = None
            for proxy in self.proxies():
                try:
                    await proxy.release(lease)
                except ApiError as exc:
                    failed = exc
            if failed is not None:
                # Never give up on a heal: the lease stands a little longer, and lapses again.
                self._leases.renew(lease, ttl_ms=_RETRY_MS, now=self._scheduler.now())
                raise failed

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        at = self._leases.next_lapse()
        self._timer = None if at is None else self._scheduler.call_at(at, self._lapse)

    def _lapse(self) -> None:
        self._timer = None
        if self._lapsing is None or self._lapsing.done():
            self._lapsing = asyncio.get_running_loop().create_task(self._heal_lapsed())

    async def _heal_lapsed(self) -> None:
        try:
            while lapsed := self._leases.lapsed(now=self._scheduler.now()):
                try:
                    await self._heal(lapsed[0])
                    log.warning("lease %r lapsed: healed what it held", lapsed[0])
                except ApiError as exc:
                    log.error("lease %r lapsed, but not all is healed yet: %s", lapsed[0], exc.message)
        finally:
            # Whatever went wrong with one lease, the others lapse in their time.
            self._arm()

    async def _start(self, spec: ProxySpec, *, counters: Counters | None = None) -> Proxy:
        proxy = Proxy(
            name=spec.name,
            listen=spec.listen,
            upstream=spec.upstream,
            scheduler=self._scheduler,
            rng=self._rng,
            http=spec.http,
            host=spec.host,
            tls=spec.tls,
            counters=counters,
        )
        if spec.http:
            # Now, because it takes a while, and by the time a provider is to fail, all links would wait for it. Whoever
            # then asks for a failure is told what is wrong with them, if anything.
            with contextlib.suppress(EnvironmentProblem):
                installed_dialects()
        if spec.enabled:
            await proxy.enable()
        self._proxies[spec.name] = proxy
        return proxy


def _is_ip(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _addresses(listen: str, upstream: str) -> tuple[Address, Address]:
    return Address.parse(listen or ":0"), Address.parse(upstream)
