"""What heads say, as far as one may choose by it."""

import re
from dataclasses import dataclass

_FIELD = re.compile(rb"\r\n([^:\r\n]+):[ \t]*([^\r\n]*?)[ \t]*(?=\r\n)")


def fields_in(head: bytes) -> tuple[tuple[str, str], ...]:
    """The fields of a head, names in lower case."""
    found = _FIELD.findall(head)
    return tuple((name.decode("latin-1").lower(), value.decode("latin-1")) for name, value in found)


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose head has come, and after that its body."""

    method: str
    target: str
    """As in the request line: the path with its query."""
    version: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case."""
    body: bytes = b""
    """Without its transfer coding."""

    @classmethod
    def parse(cls, head: bytes) -> "Request":
        """A head that `framing.Requests` has found."""
        line = head[: head.index(b"\r\n")].decode("latin-1")
        method, target, version = line.split(" ", 2)
        return cls(method, target, version, fields_in(head))

    def values(self, name: str) -> list[str]:
        """Every value of the header of that name, in lower case."""
        return [value for known, value in self.headers if known == name]

    @property
    def path(self) -> str:
        """The target without its query."""
        return self.target.partition("?")[0]

    @property
    def expects_continue(self) -> bool:
        """Whether the client waits for `100 Continue` before it sends the body (RFC 9110, section 10.1.1)."""
        return any(value.lower() == "100-continue" for value in self.values("expect"))

    @property
    def closes(self) -> bool:
        """Whether the client wants no other answer on this connection."""
        return any("close" in value.lower() for value in self.values("connection"))


def is_stream(head: bytes, media_type: str) -> bool:
    """Whether a response's head announces a good answer of that type, which can be read as it comes."""
    fields = fields_in(head)
    types = [value.partition(";")[0].strip().lower() for name, value in fields if name == "content-type"]
    coded = any(name == "content-encoding" and value.lower() != "identity" for name, value in fields)
    return head.split(b" ", 2)[1] == b"200" and types == [media_type] and not coded
