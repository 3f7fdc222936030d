"""Streams of answers: server-sent events, as much of them as chat completions use; and simpler ones.

https://html.spec.whatwg.org/multipage/server-sent-events.html: events are separated by a blank line; lines end in
LF, CR LF or CR (no provider sends a lone CR); a `data` field may span lines; comments begin with a colon.
"""

from collections.abc import AsyncGenerator, AsyncIterator


async def events(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """The `data` of each event, as soon as its blank line has arrived. A cut last event is not yielded."""
    buffer = b""
    data: list[bytes] = []
    async for chunk in chunks:
        buffer += chunk
        while (end := buffer.find(b"\n")) >= 0:
            line = buffer[:end].rstrip(b"\r")
            buffer = buffer[end + 1 :]
            if line.startswith(b"data:"):
                data.append(line[5:].removeprefix(b" "))
            elif not line and data:
                yield b"\n".join(data)
                data.clear()


async def lines(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Each line that is not empty, as soon as its end has arrived; the last one may lack it."""
    buffer = b""
    async for chunk in chunks:
        *whole, buffer = (buffer + chunk).split(b"\n")
        for line in whole:
            if line.strip():
                yield line
    if buffer.strip():
        yield buffer


async def texts(chunks: AsyncIterator[bytes]) -> AsyncGenerator[bytes, None]:
    """Each piece as it arrives."""
    async for chunk in chunks:
        if chunk:
            yield chunk
