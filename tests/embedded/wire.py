"""A provider of the reference stack behind the fault proxy, and nothing else of the stack."""

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import dns.asyncresolver
import httpx

from brownout.breakage import LinkPlace
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HOST, HeldPorts
from brownout.fixtures.embedded.processes import Supervised
from brownout.fixtures.embedded.stack import LINKS, SERVICES, Stack, host_of
from brownout.target import TargetOptions

PROVIDER = "llm-primary"
PLACE = LinkPlace("gateway", PROVIDER)
PATIENCE_S = 30.0


@dataclass(frozen=True)
class Wire:
    """The links, and the provider behind one of them."""

    links: Links
    runner: asyncio.Runner
    port: int
    """Of the link."""
    nameserver: str | None
    """Address and port of who is asked for names, where the machine can have one."""

    async def address(self, *, lifetime: float = PATIENCE_S) -> str:
        """What the provider's name resolves to. Raises what dnspython raises."""
        assert self.nameserver is not None
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = [HOST], int(self.nameserver.rpartition(":")[2])
        return str((await resolver.resolve(host_of(PROVIDER), "A", lifetime=lifetime))[0])

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"


@contextlib.contextmanager
def provider_behind_a_link(logs: Path) -> Iterator[Wire]:
    async def start() -> Supervised:
        supervised = Supervised(logs, ["a-token"])
        await supervised.open()
        return supervised

    async def up(supervised: Supervised) -> Wire:
        held = HeldPorts()
        ports = held.hold((*SERVICES, *LINKS.values()), {})
        links = Links(supervised, seed=5, token="a-token")
        stack = Stack(TargetOptions(seed=5, scale=1.0, workdir=logs), ports, addresses={}, authorities={}, tokens="")
        async with httpx.AsyncClient(trust_env=False) as client:
            await stack.up(PROVIDER, supervised, client)
        nameserver = await links.up(ports)
        held.release()
        return Wire(links, runner, ports[LINKS[("gateway", PROVIDER)]], nameserver)

    with asyncio.Runner() as runner:
        supervised = runner.run(start())
        try:
            yield runner.run(up(supervised))
        finally:
            runner.run(supervised.close())
