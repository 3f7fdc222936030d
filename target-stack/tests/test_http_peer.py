"""A connection that is reset as soon as it is made is an unreachable peer, whatever the event loop makes of it."""

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import httpx
import pytest

from target_stack.http_peer import HttpPeer

CALLS = 60


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


async def call(url: str) -> list[BaseException | httpx.Response]:
    async def hurry() -> None:
        # A busy loop learns of the connection and of its reset in one turn.
        while True:
            time.sleep(0.005)  # noqa: ASYNC251 -- it is to block
            await asyncio.sleep(0)

    peer, busy = HttpPeer(url), asyncio.create_task(hurry())
    async with peer.client() as client:
        answers = await asyncio.gather(*(client.post("/", content=b"{}") for _ in range(CALLS)), return_exceptions=True)
    busy.cancel()
    await peer.aclose()
    return answers


def test_a_reset_just_after_the_connect_is_a_connection_error_under_uvloop_too() -> None:
    uvloop = pytest.importorskip("uvloop")
    with resetting() as url, asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        answers = runner.run(call(url))
    assert len(answers) == CALLS
    assert all(isinstance(answer, httpx.HTTPError) for answer in answers), set(map(repr, answers))
