"""What a peer sends, in whatever pieces, and what becomes of its connection: aiohttp, held to what the stack needs."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
import pytest
from fakes import FakeClock

from target_stack import http_peer
from target_stack.http_peer import HttpPeer, Lifetime

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: 1\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"
CALLS = 60


@dataclass
class Server:
    """Answers the requests of all connections with what is in `answers`, one after the other; None hangs up."""

    answers: list[bytes | None]
    piece: int = 1 << 20
    connections: int = 0
    requests: list[bytes] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                self.requests.append(
                    head + (await reader.readexactly(2) if b"content-length: 2" in head.lower() else b"")
                )
                answer = self.answers.pop(0)
                for start in range(0, len(answer or b""), self.piece):
                    writer.write((answer or b"")[start : start + self.piece])
                    await writer.drain()
                    await asyncio.sleep(0)
                if not self.answers or self.answers[0] is None:
                    self.answers = self.answers[1:]
                    break
        writer.close()


def play(server: Server, scenario: Callable[[aiohttp.ClientSession], Awaitable[None]]) -> None:
    @asynccontextmanager
    async def client() -> AsyncIterator[aiohttp.ClientSession]:
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        peer = HttpPeer(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        async with peer.client() as made:
            yield made
        await peer.aclose()
        listening.close()
        # Every connection is closed by now, and whoever serves it sees it.
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    async def run() -> None:
        async with asyncio.timeout(20), client() as made:
            await scenario(made)

    asyncio.run(run())


async def text(http: aiohttp.ClientSession) -> str:
    async with http.get("/") as response:
        return await response.text()


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_answers_are_whole_however_they_are_cut_and_a_connection_is_used_again(piece: int) -> None:
    server = Server([WHOLE, CHUNKED, b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + WHOLE], piece=piece)

    async def scenario(http: aiohttp.ClientSession) -> None:
        for expected in ("ok", "abcde", "ok"):
            async with http.post("/path?a=b", data=b"{}", headers={"x-own": "1"}) as response:
                assert (response.status, await response.text()) == (200, expected)
        assert response.headers["x-a"] == "1"
        assert "link" not in response.headers

    play(server, scenario)
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /path?a=b HTTP/1.1\r\n")
    assert b"x-own: 1\r\n" in server.requests[0].lower()
    assert server.requests[0].endswith(b"\r\n\r\n{}")


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n\r\nall of it", None, WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        assert await text(http) == "all of it"
        assert await text(http) == "ok"

    play(server, scenario)
    assert server.connections == 2


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 200 OK\r\ncontent-le",
        b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf",
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n",
        b"no HTTP at all\r\n\r\n",
    ],
)
def test_an_answer_that_is_cut_or_none_is_an_error(answer: bytes) -> None:
    server = Server([answer, None, WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        with pytest.raises(aiohttp.ClientError):
            async with http.post("/") as response:
                await response.read()
        assert await text(http) == "ok"

    play(server, scenario)


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used_again() -> None:
    server = Server([WHOLE, None, WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        assert await text(http) == "ok"
        assert await text(http) == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_connection_that_will_close_or_is_too_old_is_not_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(http: aiohttp.ClientSession) -> None:
        assert await text(http) == "ok"
        await asyncio.sleep(0.1)
        assert await text(http) == "ok"

    closing, ageing = Server([WHOLE.replace(b"x-a: 1", b"connection: close"), WHOLE]), Server([WHOLE, WHOLE])
    play(closing, scenario)
    monkeypatch.setattr(http_peer, "IDLE_S", 0.05)
    play(ageing, scenario)
    assert (closing.connections, ageing.connections) == (2, 2)


def test_a_response_that_nobody_asked_for_is_nobodys() -> None:
    server = Server([WHOLE + WHOLE.replace(b"ok", b"no"), WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        for _ in range(2):
            assert await text(http) == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_who_stops_reading_half_way_ends_the_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        response = await http.get("/")
        assert await response.content.readany() == b"half"
        response.close()
        assert await text(http) == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_call_that_is_cancelled_ends_the_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n", WHOLE])

    async def scenario(http: aiohttp.ClientSession) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await text(http)
        assert await text(http) == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_body_that_nobody_reads_is_not_taken_into_memory_and_is_whole_in_the_end() -> None:
    size = 16 << 20
    server = Server([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size])

    async def scenario(http: aiohttp.ClientSession) -> None:
        async with http.get("/") as response:
            await asyncio.sleep(0.2)
            pieces = [len(await response.content.readany())]
            while piece := await response.content.readany():
                pieces.append(len(piece))
        assert sum(pieces) == size
        assert pieces[0] < size / 4

    play(server, scenario)


def test_calls_under_way_end_well_when_connections_are_replaced() -> None:
    async def run() -> None:
        server = Server([WHOLE, WHOLE])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        peer = HttpPeer(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        async with peer.client() as old:
            response = await old.get("/")
            peer.renew()
            async with peer.client() as new:
                assert new is not old
                assert await text(new) == "ok"
            assert await response.text() == "ok"
        assert old.closed
        assert not new.closed
        await peer.aclose()
        assert server.connections == 2
        listening.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(run())


def test_connections_are_replaced_when_their_time_is_over_and_closed_when_nobody_uses_them() -> None:
    async def run() -> None:
        server, clock = Server([WHOLE] * 4), FakeClock()
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        peer = HttpPeer(
            f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}", lifetime=Lifetime(seconds=2.0, clock=clock)
        )
        used = []
        for connections, passed in ((1, 0.0), (1, 1.9), (2, 0.2), (2, 1.9)):
            clock.advance(passed)
            async with peer.client() as client:
                assert await text(client) == "ok"
            used.append(client)
            assert server.connections == connections
        assert [client.closed for client in used] == [True, True, False, False]
        await peer.aclose()
        assert used[-1].closed
        listening.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(run())


def test_connections_that_are_replaced_while_nobody_uses_them_are_closed() -> None:
    async def run() -> None:
        server = Server([WHOLE, WHOLE])
        listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
        peer = HttpPeer(f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}")
        async with peer.client() as old:
            assert await text(old) == "ok"
        peer.renew()
        async with peer.client() as new:
            assert await text(new) == "ok"
        assert old.closed
        peer.renew()
        await peer.aclose()
        assert new.closed
        listening.close()
        await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})

    asyncio.run(run())


@contextlib.contextmanager
def resetting() -> Iterator[str]:
    """A server that answers every connection with a reset."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0), backlog=CALLS) as listener:
        listener.settimeout(0.1)

        def serve() -> None:
            while not over.is_set():
                with contextlib.suppress(TimeoutError):
                    connection, _ = listener.accept()
                    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                    connection.close()

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listener.getsockname()[1]}"
        finally:
            over.set()
            thread.join()


async def call(url: str) -> list[object]:
    async def hurry() -> None:
        # A busy loop learns of the connection and of its reset in one turn.
        while True:
            time.sleep(0.005)  # noqa: ASYNC251 -- it is to block
            await asyncio.sleep(0)

    async def one() -> None:
        async with client.post("/", data=b"{}") as response:
            await response.read()

    peer, busy = HttpPeer(url), asyncio.create_task(hurry())
    async with peer.client() as client:
        answers = await asyncio.gather(*(one() for _ in range(CALLS)), return_exceptions=True)
    busy.cancel()
    await peer.aclose()
    return list(answers)


def test_a_reset_just_after_the_connect_is_a_connection_error_under_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")
    with resetting() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answers = runner.run(call(url))
    assert len(answers) == CALLS
    assert all(isinstance(answer, aiohttp.ClientError) for answer in answers), set(map(repr, answers))


def test_nobody_there_is_a_connection_error() -> None:
    async def scenario() -> None:
        peer = HttpPeer("http://127.0.0.1:1")
        async with peer.client() as client:
            with pytest.raises(aiohttp.ClientConnectorError):
                await client.get("/")
        await peer.aclose()

    asyncio.run(scenario())
