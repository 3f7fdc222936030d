"""The transport under httpx: what a peer sends, in whatever pieces, and what becomes of the connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import httpx
import pytest

from target_stack.http_transport import HIGH_WATER, Transport

WHOLE = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nx-a: 1\r\n\r\nok"
CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\nab\r\n3\r\ncde\r\n0\r\n\r\n"


@dataclass
class Server:
    """Answers the requests of all connections with what is in `answers`, one after the other; None hangs up."""

    answers: list[bytes | None]
    piece: int = 1 << 20
    url: str = ""
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


@asynccontextmanager
async def client(server: Server, *, idle_expiry: float = 30.0) -> AsyncIterator[httpx.AsyncClient]:
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    server.url = f"http://127.0.0.1:{listening.sockets[0].getsockname()[1]}"
    transport = Transport(verify=False, resolver=None, max_idle=8, idle_expiry=idle_expiry)
    async with httpx.AsyncClient(transport=transport, timeout=5.0) as made:
        yield made
    listening.close()
    # Every connection is closed by now, and whoever serves it sees it.
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


def play(
    server: Server, scenario: Callable[[httpx.AsyncClient], Awaitable[None]], *, idle_expiry: float = 30.0
) -> None:
    async def run() -> None:
        async with client(server, idle_expiry=idle_expiry) as made:
            await scenario(made)

    asyncio.run(run())


@pytest.mark.parametrize("piece", [1, 7, 1 << 20])
def test_answers_are_whole_however_they_are_cut_and_a_connection_is_used_again(piece: int) -> None:
    server = Server([WHOLE, CHUNKED, b"HTTP/1.1 103 Early Hints\r\nlink: a\r\n\r\n" + WHOLE], piece=piece)

    async def scenario(http: httpx.AsyncClient) -> None:
        for expected in ("ok", "abcde", "ok"):
            response = await http.post(f"{server.url}/path?a=b", content=b"{}", headers={"x-own": "1"})
            assert (response.status_code, response.text) == (200, expected)
        assert response.headers["x-a"] == "1"
        assert "link" not in response.headers

    play(server, scenario)
    assert server.connections == 1
    assert server.requests[0].startswith(b"POST /path?a=b HTTP/1.1\r\n")
    assert b"x-own: 1\r\n" in server.requests[0].lower()
    assert server.requests[0].endswith(b"\r\n\r\n{}")


def test_a_body_without_a_length_ends_with_its_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n\r\nall of it", None, WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        assert (await http.get(server.url)).text == "all of it"
        assert (await http.get(server.url)).text == "ok"

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
def test_an_answer_that_is_cut_or_none_is_a_protocol_error(answer: bytes) -> None:
    server = Server([answer, None, WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        with pytest.raises(httpx.RemoteProtocolError):
            await http.get(server.url)
        assert (await http.get(server.url)).text == "ok"

    play(server, scenario)


def test_a_connection_that_the_peer_closed_meanwhile_is_not_used_again() -> None:
    server = Server([WHOLE, None, WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        assert (await http.get(server.url)).text == "ok"
        assert (await http.get(server.url)).text == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_connection_that_will_close_or_is_too_old_is_not_used_again() -> None:
    closing = WHOLE.replace(b"x-a: 1", b"connection: close")
    for server, idle_expiry in ((Server([closing, WHOLE]), 30.0), (Server([WHOLE, WHOLE]), 0.0)):

        async def scenario(http: httpx.AsyncClient, url: Server = server) -> None:
            assert (await http.get(url.url)).text == "ok"
            assert (await http.get(url.url)).text == "ok"

        play(server, scenario, idle_expiry=idle_expiry)
        assert server.connections == 2


def test_a_response_that_nobody_asked_for_is_nobodys() -> None:
    server = Server([WHOLE + WHOLE.replace(b"ok", b"no"), WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        for _ in range(2):
            assert (await http.get(server.url)).text == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_who_stops_reading_half_way_ends_the_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nhalf", WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", server.url) as response:
            assert await anext(response.aiter_raw()) == b"half"
        assert (await http.get(server.url)).text == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_call_that_is_cancelled_ends_the_connection() -> None:
    server = Server([b"HTTP/1.1 200 OK\r\n", WHOLE])

    async def scenario(http: httpx.AsyncClient) -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await http.get(server.url)
        assert (await http.get(server.url)).text == "ok"

    play(server, scenario)
    assert server.connections == 2


def test_a_body_that_nobody_reads_is_not_taken_into_memory_and_is_whole_in_the_end() -> None:
    size = 64 * HIGH_WATER
    server = Server([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % size + b"x" * size])

    async def scenario(http: httpx.AsyncClient) -> None:
        async with http.stream("GET", server.url) as response:
            await asyncio.sleep(0.2)
            pieces = [len(piece) async for piece in response.aiter_raw()]
        assert sum(pieces) == size
        assert pieces[0] < size / 4

    play(server, scenario)


@pytest.mark.parametrize(
    ("url", "error"),
    [("http://127.0.0.1:1", httpx.ConnectError), ("https://127.0.0.1:1", httpx.UnsupportedProtocol)],
)
def test_nobody_there_is_a_connection_error_and_what_was_to_be_secret_is_never_sent_in_the_clear(
    url: str, error: type[httpx.HTTPError]
) -> None:
    async def scenario() -> None:
        async with httpx.AsyncClient(
            transport=Transport(verify=False, resolver=None, max_idle=8, idle_expiry=30)
        ) as http:
            with pytest.raises(error):
                await http.get(url)

    asyncio.run(scenario())
