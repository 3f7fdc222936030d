"""Host names of HTTP peers, resolved by a nameserver of one's own choice whenever a new connection is opened.

Without `STACK_NAMESERVER` the system's resolver does that, as ever. A connection that is kept asks for no name: what is
wrong with one is noticed by the next new connection, once the answer in the cache has outlived its TTL.
"""

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass

from target_stack.clock import Clock
from target_stack.setting import ConfigurationError

__all__ = ["Resolver", "UnresolvedError", "resolver_from"]

LIMIT_S = 5.0
"""For one question where its asker has no limit; as resolv.conf(5) has it."""


class UnresolvedError(Exception):
    """A name that has no address now; the message says why."""


@dataclass(frozen=True, slots=True)
class _Known:
    address: str | None
    """None where there is none."""
    until: float


class Resolver:
    """Asks one nameserver for IPv4 addresses, and keeps each answer for its TTL, also that there is none (RFC 2308)."""

    def __init__(self, nameserver: str, port: int, clock: Clock) -> None:
        """`nameserver` is an IP address."""
        # 0.1 s, which only those pay who want it.
        import dns.asyncresolver  # noqa: PLC0415 -- see above

        self._asks = dns.asyncresolver.Resolver(configure=False)
        self._asks.nameservers = [nameserver]
        self._asks.port = port
        self.clock = clock
        self._known: dict[str, _Known] = {}

    async def address(self, host: str, *, limit: float | None = None) -> str:
        """Return the address of a host, which may be an address already; `limit` is in seconds.

        Raises UnresolvedError when there is none, TimeoutError when nothing was said of it in time.
        """
        if _is_address(host):
            return host
        known = self._known.get(host)
        if known is None or known.until <= self.clock.monotonic():
            # Failures of the nameserver itself are not kept.
            known = self._known[host] = await self._ask(host, LIMIT_S if limit is None else limit)
        if known.address is None:
            msg = f"{host} has no address"
            raise UnresolvedError(msg)
        return known.address

    async def _ask(self, host: str, limit: float) -> _Known:
        import dns.exception  # noqa: PLC0415 -- as above
        import dns.resolver  # noqa: PLC0415 -- as above

        try:
            answer = await self._asks.resolve(f"{host}.", "A", lifetime=limit, raise_on_no_answer=False)
            found = answer.chaining_result
        except dns.resolver.NXDOMAIN as gone:
            (response,) = gone.responses().values()  # type: ignore[no-untyped-call] # one name was asked for
            found = response.resolve_chaining()
        except dns.exception.Timeout as late:
            msg = f"no answer within {limit:g} s to what the address of {host} is"
            raise TimeoutError(msg) from late
        except (dns.exception.DNSException, OSError) as error:
            msg = f"the nameserver does not say what the address of {host} is: {type(error).__name__}"
            raise UnresolvedError(msg) from error
        address = None if found.answer is None else found.answer[0].to_text()
        return _Known(address, self.clock.monotonic() + found.minimum_ttl)


def resolver_from(environ: Mapping[str, str], clock: Clock) -> Resolver | None:
    """Return the resolver that STACK_NAMESERVER asks for, None without it; raise ConfigurationError where it is bad."""
    text = environ.get("STACK_NAMESERVER")
    if not text:
        return None
    host, _, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not _is_address(host) or not port.isdecimal() or not 0 < int(port) < 2**16:
        msg = f"STACK_NAMESERVER must be an IP address with a port, such as 127.0.0.1:53, not {text!r}"
        raise ConfigurationError(msg)
    return Resolver(host, int(port), clock)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
