"""Server-sent events: the part that LLM APIs use (`data:` lines, ended by a blank one).

https://html.spec.whatwg.org/multipage/server-sent-events.html#event-stream-interpretation
"""

__all__ = ["DONE", "SseParser", "encode"]

_DATA = b"data: "
DONE = b"[DONE]"
"""Data of the event that ends a stream in the OpenAI API."""


def encode(data: bytes) -> bytes:
    """Return one event that carries `data`, which holds no line break."""
    return _DATA + data + b"\n\n"


class SseParser:
    """Turns bytes, cut anywhere, into the data of whole events. CR, LF and CRLF all end a line."""

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []

    def feed(self, chunk: bytes) -> list[bytes]:
        """Return the data of each event that `chunk` completes; comments and other fields are skipped."""
        # What comes for nearly every token: one event, whole, on one line.
        whole = chunk.startswith(_DATA) and chunk.find(b"\n") == len(chunk) - 2 and b"\r" not in chunk
        if whole and not self._rest and not self._data and chunk.endswith(b"\n"):
            return [chunk[len(_DATA) : -2]]
        found = []
        text = self._rest + chunk
        # A CR at the very end may be half of a CRLF; it waits for what follows.
        held = b"\r" if text.endswith(b"\r") else b""
        *lines, self._rest = text.removesuffix(held).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest += held
        for line in lines:
            if line.startswith(b"data:"):
                self._data.append(line[5:].removeprefix(b" "))
            elif not line and self._data:
                found.append(b"\n".join(self._data))
                self._data.clear()
        return found
