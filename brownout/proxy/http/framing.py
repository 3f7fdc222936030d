"""Where HTTP/1.1 messages begin and end in a stream of bytes. Source: RFC 9112, sections 2.2, 6 and 7.1.

It says what each byte belongs to, without copying or changing any: that takes about 1 µs a message, where h11 takes
30 µs, which a link that carries 50 000 a second does not have. httptools is as fast, but does not tell at which byte a
message ends. The tests hold this one against h11.
"""

import functools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable

NOTHING, HEAD, DATA, END = range(4)
"""What `Framer.advance` has come to: the end of the bytes given; of a head; of a piece of body; of a message."""
HEAD_LIMIT = 2**16
"""Bytes. No server known takes a longer head; what has one is no HTTP that one could do anything with."""

_HEAD_END = b"\r\n\r\n"
_REQUEST = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+ [^\s]+ HTTP/1\.[01]\r\n")
_REQUEST_BEGUN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]*(?: [^\n]*)?\Z")
_VERSION = b"HTTP/1."
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-5][0-9][0-9])[ \r]")
_LENGTHS = re.compile(rb"\r\n(content-length|transfer-encoding):[ \t]*([^\r\n]*)", re.IGNORECASE)
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,15})[ \t]*(?:;[^\n]*)?\r\n")
_LINE_LIMIT = 2**14
_CRLF = b"\r\n"
_CHUNKED, _UNTIL_CLOSE, _UNTOLD = -1, -2, -3
"""In place of a length; the last one where there is no telling."""
_Reader = Callable[[bytes, int], tuple[int, int]]


class Framer(ABC):
    """One direction of a connection. What is no HTTP/1.1 that it understands turns it `opaque`, for good."""

    __slots__ = ("_begun", "_body", "_left", "_partial", "body_from", "head", "opaque")

    def __init__(self) -> None:
        self.opaque = False
        self.head = b""
        """The head of the message under way, once it has been come to; from its first line to its empty one."""
        self.body_from = 0
        """With `DATA`: where the piece of body begins in the bytes given. It ends where `advance` says."""
        self._begun = False
        self._partial = bytearray()
        self._left = 0
        self._body: _Reader | None = None

    @property
    def between(self) -> bool:
        """Whether the last message is over, and of the next one nothing has come."""
        return not self._begun and self._body is None

    def advance(self, data: bytes, start: int) -> tuple[int, int]:
        """Go on from that offset: (offset come to, what was come to). To be called again until it says `NOTHING`."""
        if self._body is not None:
            return self._body(data, start)
        return self._in_head(data, start)

    def is_whole(self, data: bytes) -> bool:
        """Whether that is exactly one message, head and counted body, and nothing has come of it before.

        It has then been read, as `advance` would have, only faster: most messages are like that.
        """
        if self._begun or self._body is not None:
            return False
        end = data.find(_HEAD_END) + len(_HEAD_END)
        return end >= len(_HEAD_END) and self._length(data[:end]) == len(data) - end

    @abstractmethod
    def _length(self, head: bytes) -> int:
        """How long the body is that goes with a head: in bytes, or one of the constants above."""

    @abstractmethod
    def _begins(self, part: bytearray) -> bool:
        """Whether a head may begin so. Who speaks another protocol may wait for an answer to less than a head."""

    def _reader(self, head: bytes) -> _Reader | None:
        length = self._length(head)
        if length > 0:
            self._left = length
            return self._counted
        return {0: self._none, _CHUNKED: self._chunk_size, _UNTIL_CLOSE: self._until_close}.get(length)

    def _in_head(self, data: bytes, start: int) -> tuple[int, int]:
        size = len(data)
        if start == size:
            return size, NOTHING
        begun = start
        if not self._begun:
            self._begun = True
            # Some clients end a body with a line end too many.
            while begun < size and data[begun] in _CRLF:
                begun += 1
        if self._partial:
            searched = max(0, len(self._partial) - len(_HEAD_END) + 1)
            before = len(self._partial)
            self._partial += data[start:]
            at = self._partial.find(_HEAD_END, searched)
            end = start + at + len(_HEAD_END) - before
            head = bytes(self._partial[: at + len(_HEAD_END)]) if at >= 0 else b""
        else:
            at = data.find(_HEAD_END, begun)
            end = at + len(_HEAD_END)
            head = data[begun:end] if at >= 0 else b""
            if at < 0:
                self._partial += data[begun:]
        if at < 0:
            if len(self._partial) > HEAD_LIMIT or not self._begins(self._partial):
                self.give_up()
            return size, NOTHING
        self._partial.clear()
        self.head = head
        self._body = self._reader(head)
        if self._body is None:
            self.give_up()
            return size, NOTHING
        return end, HEAD

    def give_up(self) -> None:
        """What comes from here on is not to be understood."""
        self.opaque = True
        self._body = _to_the_end
        self._partial.clear()

    def _over(self) -> None:
        self._begun = False
        self._body = None

    # Bodies

    def _none(self, _data: bytes, start: int) -> tuple[int, int]:
        self._over()
        return start, END

    def _counted(self, data: bytes, start: int) -> tuple[int, int]:
        if not self._left:
            self._over()
            return start, END
        return self._piece(data, start)

    def _until_close(self, data: bytes, start: int) -> tuple[int, int]:
        self.body_from = start
        return len(data), DATA if start < len(data) else NOTHING

    def _piece(self, data: bytes, start: int) -> tuple[int, int]:
        size = len(data)
        if start == size:
            return size, NOTHING
        end = min(size, start + self._left)
        self._left -= end - start
        self.body_from = start
        return end, DATA

    def _chunk(self, data: bytes, start: int) -> tuple[int, int]:
        if self._left:
            return self._piece(data, start)
        self._body = self._after_chunk
        return self._after_chunk(data, start)

    def _after_chunk(self, data: bytes, start: int) -> tuple[int, int]:
        line, start = self._line(data, start)
        if line is None:
            return start, NOTHING
        if line != _CRLF:
            self.give_up()
            return len(data), NOTHING
        self._body = self._chunk_size
        return self._chunk_size(data, start)

    def _chunk_size(self, data: bytes, start: int) -> tuple[int, int]:
        line, start = self._line(data, start)
        if line is None:
            return start, NOTHING
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            self.give_up()
            return len(data), NOTHING
        self._left = int(found[1], 16)
        self._body = self._chunk if self._left else self._trailers
        return self._body(data, start)

    def _trailers(self, data: bytes, start: int) -> tuple[int, int]:
        while True:
            line, start = self._line(data, start)
            if line is None:
                return start, NOTHING
            if line == _CRLF:
                self._over()
                return start, END

    def _line(self, data: bytes, start: int) -> tuple[bytes | None, int]:
        """The next line with its end, and where it ends; None where it is not whole yet."""
        at = data.find(b"\n", start) + 1
        if at and not self._partial:
            return data[start:at], at
        self._partial += data[start : at or len(data)]
        if not at:
            if len(self._partial) > _LINE_LIMIT:
                self.give_up()
            return None, len(data)
        line = bytes(self._partial)
        self._partial.clear()
        return line, at


class Requests(Framer):
    """What a client says."""

    __slots__ = ()

    def _length(self, head: bytes) -> int:
        return _of_request(head)

    def _begins(self, part: bytearray) -> bool:
        return (_REQUEST if b"\n" in part else _REQUEST_BEGUN).match(part) is not None


class Responses(Framer):
    """What a server says. `to_head` must be set before the response to a HEAD request begins."""

    __slots__ = ("status", "to_head")

    def __init__(self) -> None:
        super().__init__()
        self.status = 0
        """Of the response under way, or the last one."""
        self.to_head = False

    @property
    def chunked(self) -> bool:
        """Of the response whose head has just been come to."""
        return self._body == self._chunk_size

    def _length(self, head: bytes) -> int:
        self.status, length = _of_response(head)
        return 0 if self.to_head and length != _UNTOLD else length

    def _begins(self, part: bytearray) -> bool:
        return part.startswith(_VERSION) or _VERSION.startswith(part)


# What a connection says next it has often said before: its heads differ in little more than a date, if at all.
@functools.lru_cache(maxsize=256)
def _of_request(head: bytes) -> int:
    # What follows a CONNECT is not HTTP, and a request cannot last until the connection closes.
    if _REQUEST.match(head) is None or head.startswith(b"CONNECT "):
        return _UNTOLD
    length = _announced(head, 0)
    return _UNTOLD if length == _UNTIL_CLOSE else length


@functools.lru_cache(maxsize=256)
def _of_response(head: bytes) -> tuple[int, int]:
    """The status, and the length of the body unless it answers a HEAD request."""
    found = _STATUS.match(head)
    status = int(found[1]) if found is not None else 0
    if found is None or status == 101:
        return status, _UNTOLD
    if status < 200 or status in (204, 304):
        return status, 0
    # Neither a length nor chunks: it ends with the connection (section 6.3, rule 8).
    return status, _announced(head, _UNTIL_CLOSE)


def _announced(head: bytes, otherwise: int) -> int:
    """The length of the body that a head announces."""
    found: list[tuple[bytes, bytes]] = _LENGTHS.findall(head)
    if not found:
        return otherwise
    codings = [value for name, value in found if name[0] in b"tT"]
    if codings:
        last = codings[-1].rpartition(b",")[2].strip().lower()
        return _CHUNKED if last == b"chunked" else _UNTIL_CLOSE
    lengths = {value.strip() for _, value in found}
    length = lengths.pop()
    return _UNTOLD if lengths or not length.isdigit() or len(length) > 18 else int(length)


def _to_the_end(data: bytes, _start: int) -> tuple[int, int]:
    return len(data), NOTHING
