"""Server-sent events: the part that LLM APIs use (`data:` lines, ended by a blank one).

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

from collections.abc import Iterator

__all__ = ["DONE", "SseParser", "encode"]

DONE = b"[DONE]"
"""Data of the event that ends a stream in the OpenAI API."""


def encode(data: bytes) -> bytes:
    """Return one event that carries `data`, which holds no line break."""
    return b"data: " + data + b"\n\n"


class SseParser:
    """Turns bytes, cut anywhere, into the data of whole events. CR, LF and CRLF all end a line."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        """Yield the data of each event that `chunk` completes; comments and other fields are skipped."""
        text = self._rest + chunk
        # A CR at the very end may be half of a CRLF; it waits for what follows.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, self._rest = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                yield b"\n".join(self._data)
                self._data.clear()
