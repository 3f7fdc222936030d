"""An answer as data: what goes over the wire, when, and how it ends."""

from dataclasses import dataclass

Headers = tuple[tuple[str, str], ...]
"""Names in lower case, in the order in which they are sent."""


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """A whole answer. Its player adds what HTTP itself needs: a length, unless the answer declares one, and a date."""

    status: int
    headers: Headers
    body: bytes

    @property
    def declared_length(self) -> int:
        """What the answer says of its own length, in bytes; its true length where it says nothing."""
        return next((int(value) for name, value in self.headers if name == "content-length"), len(self.body))

    @property
    def truncated(self) -> bool:
        """Whether less is sent than declared. The connection must then be closed after the body."""
        return self.declared_length > len(self.body)


@dataclass(frozen=True, slots=True)
class Chunk:
    """Bytes that are sent in one piece."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Wait:
    """Silence, with the connection open."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The connection is closed here, without the end that the transfer coding requires."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Nothing more comes, and the connection stays open until the client gives up."""


Step = Chunk | Wait | Cut | Hang


@dataclass(frozen=True, slots=True)
class StreamAnswer:
    """An answer that arrives piece by piece, in chunked transfer coding. Without a `Cut` or a `Hang` it ends well."""

    status: int
    headers: Headers
    steps: tuple[Step, ...]

    @property
    def body(self) -> bytes:
        """Everything that is sent, without its timing."""
        return b"".join(step.data for step in self.steps if isinstance(step, Chunk))


Answer = HttpAnswer | StreamAnswer
