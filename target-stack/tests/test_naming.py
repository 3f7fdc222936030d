"""Names are resolved by the nameserver given, kept for as long as it says, and fail like any other connection."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import cast

import aiohttp
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from fakes import FakeClock

from target_stack.clock import SystemClock
from target_stack.http_peer import HttpPeer
from target_stack.naming import Resolver, UnresolvedError, resolver_from
from target_stack.setting import ConfigurationError

HOST = "llm.example.test"
SOA = "ns.example.test. none.example.test. 1 60 60 60 7"


class Nameserver(asyncio.DatagramProtocol):
    """Answers as it is told to: an address with a TTL of 5 s, a code, or (None) not at all."""

    def __init__(self) -> None:
        self.answer: str | dns.rcode.Rcode | None = "127.0.0.1"
        self.soa = True
        self.asked: list[str] = []
        self.port = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        self.port = transport.get_extra_info("sockname")[1]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        self.asked.append(question.name.to_text(omit_final_dot=True))
        reply = dns.message.make_response(query)
        match self.answer:
            case None:
                return
            case dns.rcode.Rcode():
                reply.set_rcode(self.answer)
            case "":
                pass
            case address:
                reply.answer.append(dns.rrset.from_text(question.name, 5, "IN", "A", address))
        if not reply.answer and self.soa:
            reply.authority.append(dns.rrset.from_text("example.test.", 60, "IN", "SOA", SOA))
        self._transport.sendto(reply.to_wire(), addr)


@asynccontextmanager
async def nameserver() -> AsyncIterator[Nameserver]:
    server = Nameserver()
    transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
        lambda: server, local_addr=("127.0.0.1", 0)
    )
    try:
        yield server
    finally:
        transport.close()


Test = Callable[[Nameserver, Resolver], Awaitable[None]]


def with_resolver(clock: FakeClock, test: Test) -> None:
    async def play() -> None:
        async with nameserver() as server:
            await test(server, Resolver("127.0.0.1", server.port, clock))

    asyncio.run(play())


def test_an_address_is_asked_for_once_in_its_ttl(clock: FakeClock) -> None:
    async def play(server: Nameserver, resolver: Resolver) -> None:
        assert [await resolver.address(HOST) for _ in range(3)] == ["127.0.0.1"] * 3
        clock.advance(4.9)
        server.answer = "127.0.0.9"
        assert await resolver.address(HOST) == "127.0.0.1"
        assert server.asked == [HOST]
        clock.advance(0.1)
        assert await resolver.address(HOST) == "127.0.0.9"
        assert server.asked == [HOST, HOST]

    with_resolver(clock, play)


@pytest.mark.parametrize("answer", [dns.rcode.NXDOMAIN, ""])
def test_that_there_is_no_address_is_kept_for_as_long_as_its_soa_says(
    clock: FakeClock, answer: str | dns.rcode.Rcode
) -> None:
    async def play(server: Nameserver, resolver: Resolver) -> None:
        server.answer = answer
        for _ in range(3):
            with pytest.raises(UnresolvedError, match=f"{HOST} has no address"):
                await resolver.address(HOST)
        server.answer = "127.0.0.1"
        clock.advance(6.9)
        with pytest.raises(UnresolvedError):
            await resolver.address(HOST)
        assert server.asked == [HOST]
        clock.advance(0.1)
        assert await resolver.address(HOST) == "127.0.0.1"

    with_resolver(clock, play)


@pytest.mark.parametrize("answer", [dns.rcode.SERVFAIL, dns.rcode.REFUSED])
def test_that_the_nameserver_failed_is_not_kept(clock: FakeClock, answer: dns.rcode.Rcode) -> None:
    async def play(server: Nameserver, resolver: Resolver) -> None:
        server.answer = answer
        with pytest.raises(UnresolvedError, match="NoNameservers"):
            await resolver.address(HOST)
        server.answer = "127.0.0.1"
        assert await resolver.address(HOST) == "127.0.0.1"

    with_resolver(clock, play)


def test_a_nameserver_that_says_nothing_is_a_timeout(clock: FakeClock) -> None:
    async def play(server: Nameserver, resolver: Resolver) -> None:
        server.answer = None
        began = time.monotonic()
        with pytest.raises(TimeoutError, match=r"no answer within 0\.2 s"):
            await resolver.address(HOST, limit=0.2)
        assert 0.15 <= time.monotonic() - began < 15

    with_resolver(clock, play)


def test_an_address_is_not_asked_for(clock: FakeClock) -> None:
    async def play(server: Nameserver, resolver: Resolver) -> None:
        assert await resolver.address("127.0.0.3") == "127.0.0.3"
        assert await resolver.address("::1") == "::1"
        assert server.asked == []

    with_resolver(clock, play)


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers every request of a connection, until it ends."""
    try:
        while await reader.readuntil(b"\r\n\r\n"):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
    except asyncio.IncompleteReadError:
        writer.close()
        await writer.wait_closed()


def test_a_peer_asks_when_it_opens_a_connection_and_a_kept_one_outlives_the_name() -> None:
    async def play() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with nameserver() as names:
            clock = FakeClock()
            resolver = Resolver("127.0.0.1", names.port, clock)
            peer = HttpPeer(f"http://{HOST}:{port}", connect_timeout=5.0, resolver=resolver)

            async def get() -> str:
                async with peer.client() as client, client.get("/") as response:
                    return await response.text()

            assert await get() == "ok"
            names.answer = dns.rcode.NXDOMAIN
            clock.advance(60.0)
            assert await get() == "ok"
            assert names.asked == [HOST]
            await peer.aclose()
            with pytest.raises(aiohttp.ClientConnectorError, match=f"{HOST} has no address"):
                await get()
            clock.advance(60.0)
            names.answer = "127.0.0.1"
            assert await get() == "ok"
            await peer.aclose()
        server.close()
        # Every connection is closed by now, and whoever serves it sees it.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(play())


def test_the_connect_timeout_is_for_the_name_and_the_connection_together() -> None:
    async def play() -> None:
        async with nameserver() as names:
            names.answer = None
            resolver = Resolver("127.0.0.1", names.port, SystemClock())
            peer = HttpPeer(f"http://{HOST}:1", connect_timeout=0.2, resolver=resolver)
            began = time.monotonic()
            with pytest.raises(aiohttp.ClientConnectionError):
                async with peer.client() as client:
                    await client.get("/")
            assert time.monotonic() - began < 15
            await peer.aclose()

    asyncio.run(play())


def test_without_a_nameserver_the_systems_resolver_is_used(clock: FakeClock) -> None:
    assert resolver_from({}, clock) is None
    assert resolver_from({"STACK_NAMESERVER": "127.0.0.1:53"}, clock) is not None
    assert resolver_from({"STACK_NAMESERVER": "[::1]:5353"}, clock) is not None


@pytest.mark.parametrize("text", ["127.0.0.1", "localhost:53", "127.0.0.1:0", "127.0.0.1:70000", "127.0.0.1:x", ":53"])
def test_a_nameserver_that_cannot_be_one_is_refused(clock: FakeClock, text: str) -> None:
    with pytest.raises(ConfigurationError, match="STACK_NAMESERVER must be an IP address with a port"):
        resolver_from({"STACK_NAMESERVER": text}, clock)
