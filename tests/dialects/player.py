"""An HTTP server on the loopback that plays a dialect's answers, byte for byte, to whatever client asks."""

import asyncio
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import h11

from brownout.dialect import Answer, Chunk, Cut, Hang, Wait, on_the_wire

Handler = Callable[[str, str, bytes], Answer]
"""Method, path and body of a request → its answer."""


class Player:
    """Answers every request with `handler`'s answer, on a thread and a port of its own."""

    def __init__(self) -> None:
        self.handler: Handler
        self.port = 0
        self.requests = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # asyncio does so itself for some sockets only; without it, small chunks wait 40 ms for one another.
        writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        try:
            while await self._exchange(reader, writer):
                pass
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; whether the connection can have another."""
        asked = await self._request(reader, writer)
        if asked is None:
            return False
        self.requests += 1
        for step in on_the_wire(self.handler(*asked)):
            match step:
                case Chunk(data):
                    writer.write(data)
                    await writer.drain()
                case Wait(seconds):
                    await asyncio.sleep(seconds)
                case Hang():
                    # Until the client is gone.
                    await reader.read()
                    return False
                case Cut():
                    return False
        return True

    async def _request(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> tuple[str, str, bytes] | None:
        """Method, path and body of the next request; None where the client has gone."""
        parser = h11.Connection(h11.SERVER)
        asked, body = None, b""
        while not isinstance(event := parser.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                data = await reader.read(65536)
                if not data:
                    return None
                parser.receive_data(data)
            elif isinstance(event, h11.Request):
                asked = (event.method.decode(), event.target.decode())
                if parser.they_are_waiting_for_100_continue:
                    writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            elif isinstance(event, h11.Data):
                body += event.data
        assert asked is not None
        return (*asked, body)


@contextmanager
def playing() -> Iterator[Player]:
    """A player on a port of the kernel's choice."""
    player = Player()
    loop = asyncio.new_event_loop()
    listener = socket.create_server(("127.0.0.1", 0))
    player.port = listener.getsockname()[1]
    stop = asyncio.Event()

    async def serve() -> None:
        server = await asyncio.start_server(player.connected, sock=listener)
        await stop.wait()
        server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for connection in connections:
            connection.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        yield player
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()
