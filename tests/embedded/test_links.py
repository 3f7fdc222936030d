"""Every breakage of a link: done by a real fault proxy, felt on real sockets, proved by figures, and healed."""

import asyncio
import ssl
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from brownout.breakage import (
    Blackhole,
    Breakage,
    Corrupt,
    Delay,
    DropConnections,
    FailDns,
    LinkPlace,
    ProviderFailure,
    Reset,
    Slice,
    SlowClose,
    StallTls,
    Throttle,
    Truncate,
)
from brownout.fixtures.embedded.links import Links
from brownout.fixtures.embedded.ports import HOST, HeldPorts
from brownout.fixtures.embedded.processes import Supervised
from brownout.fixtures.embedded.stack import LINKS, SERVICES
from brownout.fixtures.embedded.toxics import KINDS

pytestmark = pytest.mark.process

PLACE = LinkPlace("gateway", "cache")
PATIENCE_S = 60.0
QUIET_S = 0.3
ANSWER = bytes(4_000)


@dataclass(frozen=True)
class Wire:
    """The links, and a server behind one of them that answers each line with as many zero bytes as it asks for."""

    links: Links
    runner: asyncio.Runner
    port: int


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        try:
            while line := await reader.readline():
                writer.write(bytes(int(line)) if line.strip().isdigit() else b"")
                await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    async def up(logs: Path) -> tuple[Supervised, asyncio.Server, Links, int]:
        held = HeldPorts()
        ports = held.hold((*SERVICES, *LINKS.values()), {})
        supervised = Supervised(logs, ["a-token"])
        await supervised.open()
        links = Links(supervised, seed=5, token="a-token")
        server = await asyncio.start_server(serve, HOST, ports["cache"])
        await links.up(ports)
        held.release()
        return supervised, server, links, ports[LINKS[("gateway", "cache")]]

    async def down(supervised: Supervised) -> None:
        await supervised.close()
        # With the proxy gone every connection to the server ends.
        serving = asyncio.all_tasks() - {asyncio.current_task()}
        async with asyncio.timeout(PATIENCE_S):
            await asyncio.gather(*serving, return_exceptions=True)

    with asyncio.Runner() as runner:
        supervised, server, links, port = runner.run(up(tmp_path_factory.mktemp("links")))
        yield Wire(links, runner, port)
        server.close()
        runner.run(down(supervised))


class Client:
    """One connection through the link."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    @classmethod
    async def dial(cls, port: int) -> "Client":
        return cls(*await asyncio.open_connection(HOST, port))

    async def ask(self, size: int = len(ANSWER), *, patience: float = PATIENCE_S) -> bytes:
        """The answer, as far as it comes before the connection ends. Raises TimeoutError, ConnectionResetError."""
        self.writer.write(b"%d\n" % size)
        answer = bytearray()
        async with asyncio.timeout(patience):
            while len(answer) < size and (chunk := await self.reader.read(size - len(answer))):
                answer += chunk
        return bytes(answer)

    def close(self) -> None:
        """Takes effect in the loop's next turn."""
        self.writer.transport.abort()


async def silent(client: Client) -> None:
    with pytest.raises(TimeoutError):
        await client.ask(patience=QUIET_S)


async def nothing_comes(port: int, old: Client) -> None:
    await silent(old)
    new = await Client.dial(port)
    await silent(new)
    new.close()


async def once(port: int) -> bytes:
    client = await Client.dial(port)
    try:
        return await client.ask()
    finally:
        client.close()


async def fails(port: int) -> None:
    """A new connection: it may be reset while it is being made."""
    with pytest.raises(OSError, match=r"reset|Connection lost|Broken pipe|Connect call failed"):
        await once(port)


async def reset(port: int, old: Client) -> None:
    with pytest.raises(ConnectionResetError):
        await old.ask()
    await fails(port)


async def comes_and_goes(port: int, old: Client) -> None:
    seen: set[bool] = set()
    async with asyncio.timeout(PATIENCE_S):
        while seen != {True, False}:
            with suppress(OSError, TimeoutError):
                client = await Client.dial(port)
                try:
                    answer = b""
                    with suppress(OSError, TimeoutError):
                        answer = await client.ask(patience=0.05)
                    seen.add(answer == ANSWER)
                finally:
                    client.close()


async def late(port: int, old: Client) -> None:
    started = time.monotonic()
    assert await old.ask() == ANSWER
    assert time.monotonic() - started >= 0.1


async def later_and_later(port: int, old: Client) -> None:
    took = 0.0
    async with asyncio.timeout(PATIENCE_S):
        while took < 0.2:
            started = time.monotonic()
            await old.ask()
            took = time.monotonic() - started


async def slow(port: int, old: Client) -> None:
    started = time.monotonic()
    assert len(await old.ask(20_000)) == 20_000
    assert time.monotonic() - started >= 0.19


async def closed_late(port: int, old: Client) -> None:
    started = time.monotonic()
    old.writer.write_eof()
    async with asyncio.timeout(PATIENCE_S):
        assert await old.reader.read() == b""
    assert time.monotonic() - started >= 0.39  # There and back; the proxy's timers are as coarse as a millisecond.


async def in_pieces(port: int, old: Client) -> None:
    pieces: list[int] = []
    async with asyncio.timeout(PATIENCE_S):
        # Who comes late finds several at once.
        while len(pieces) < 3:
            pieces.clear()
            old.writer.write(b"400\n")
            while sum(pieces) < 400:
                pieces.append(len(await old.reader.read(10_000)))


async def cut_off(port: int, old: Client) -> None:
    assert await old.ask() == ANSWER[:1_000]


async def damaged(port: int, old: Client) -> None:
    answer = await old.ask()
    assert len(answer) == len(ANSWER)
    assert 10 <= sum(byte != 0 for byte in answer) <= 100


async def third_time_lucky(port: int, old: Client) -> None:
    with pytest.raises(ConnectionResetError):
        await old.ask()
    await fails(port)
    await fails(port)
    client = await Client.dial(port)
    assert await client.ask() == ANSWER
    client.close()


async def shakes_no_hands(port: int, old: Client) -> None:
    assert await old.ask() == ANSWER
    plain = await Client.dial(port)
    assert await plain.ask() == ANSWER
    plain.close()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(QUIET_S):
            await asyncio.open_connection(HOST, port, ssl=ssl.create_default_context(), server_hostname="localhost")


Felt = Callable[[int, Client], Awaitable[None]]
CASES: list[tuple[Breakage, Felt]] = [
    (Blackhole(), nothing_comes),
    (Blackhole(direction="to"), nothing_comes),
    (Blackhole(direction="from"), nothing_comes),
    (Blackhole(cycle=0.4), comes_and_goes),
    (Reset(), reset),
    (Reset(cycle=0.4), comes_and_goes),
    (Delay(latency=0.15, jitter=0.05), late),
    (Delay(latency=0.2, course="ramp", period=0.5), later_and_later),
    (Delay(latency=0.2, course="square", period=0.5), later_and_later),
    (Delay(latency=0.4, course="random", period=0.1), later_and_later),
    (Throttle(rate=100_000.0), slow),
    (SlowClose(delay=0.2), closed_late),
    (Slice(size=100, variation=20, delay=0.01), in_pieces),
    (Truncate(after=1_000), cut_off),
    (Corrupt(share=0.01), damaged),
    (DropConnections(first=2), third_time_lucky),
    (StallTls(), shakes_no_hands),
]


def test_every_kind_of_breakage_is_tried_here() -> None:
    # Those of requests and of names have files of their own: test_provider_failures.py, test_dns_failure.py.
    assert {breakage.capability for breakage, _ in CASES} | {ProviderFailure.kind, FailDns.kind} == KINDS


@pytest.mark.parametrize(("breakage", "felt"), CASES, ids=lambda one: one.__name__ if callable(one) else str(one))
def test_it_is_felt_proved_and_healed(wire: Wire, breakage: Breakage, felt: Felt) -> None:
    async def play() -> None:
        old = await Client.dial(wire.port)
        assert await old.ask() == ANSWER
        await wire.links.inject(PLACE, breakage, lease="lease", ttl=30.0)
        unfelt = await wire.links.prove(PLACE, breakage, lease="lease")
        # The open connection is reset at once; all others need traffic.
        assert unfelt.works == isinstance(breakage, Reset)
        try:
            await felt(wire.port, old)
            proof = await wire.links.prove(PLACE, breakage, lease="lease")
        finally:
            await wire.links.heal("lease")
            old.close()
        assert proof.works, proof.summary
        assert proof.summary.startswith("gateway → cache: ")
        after = await Client.dial(wire.port)
        # A machine that is busy may be late once; a fault that is still there is late every time.
        took = []
        while not took or (min(took) >= 0.1 and len(took) < 20):
            started = time.monotonic()
            assert await after.ask() == ANSWER
            took.append(time.monotonic() - started)
        assert min(took) < 0.1
        after.close()

    wire.runner.run(play())


def test_what_a_client_meets_while_the_fault_is_still_being_injected_counts(wire: Wire) -> None:
    async def play() -> None:
        async def keep_trying() -> None:
            while True:
                with suppress(OSError, TimeoutError):
                    await once(wire.port)

        pool = asyncio.create_task(keep_trying())
        breakage = DropConnections(first=1)
        await wire.links.inject(PLACE, breakage, lease="lease", ttl=30.0)
        pool.cancel()
        await asyncio.wait([pool])
        with suppress(OSError):
            await once(wire.port)
        proof = await wire.links.prove(PLACE, breakage, lease="lease")
        await wire.links.heal("lease")
        assert proof.works, proof.summary

    wire.runner.run(play())


def test_a_one_way_partition_lets_the_other_way_through(wire: Wire) -> None:
    async def play() -> None:
        for breakage, passed, lost in (
            (Blackhole(direction="from"), "upstream_bytes", "downstream_swallowed"),
            (Blackhole(direction="to"), None, "upstream_swallowed"),
        ):
            client = await Client.dial(wire.port)
            await wire.links.inject(PLACE, breakage, lease="lease", ttl=30.0)
            await silent(client)
            figures = (await wire.links.prove(PLACE, breakage, lease="lease")).figures
            assert figures[lost] > 0
            assert passed is None or figures[passed] > 0
            await wire.links.heal("lease")
            client.close()

    wire.runner.run(play())
