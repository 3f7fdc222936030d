"""Who may change what a link carries, and the requests that this is about."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

from brownout.dialect.answer import Step
from brownout.dialect.live import LiveStream
from brownout.proxy.http.heads import Request


class Meddler(Protocol):
    """Who may answer requests in the server's place, or break its responses."""

    def concerned(self, request: Request) -> bool:
        """Whether it may want to, by the request's head alone."""

    def decide(self, request: Request) -> Sequence[Step] | LiveStream | None:
        """What becomes of a whole request: an answer in the server's place, as it goes over the wire; the breaking of
        its response; or None, and it goes its way."""

    def failed(self) -> None:
        """What it decided has come about."""


@dataclass(slots=True)
class Held:
    """A request that is kept until it is whole."""

    pieces: list[bytes] = field(default_factory=list)
    """As they came."""
    size: int = 0
    request: Request | None = None
    """Its head, once that has come."""
    body: list[bytes] = field(default_factory=list)
    """Without its transfer coding."""
    told_to_continue: bool = False
    """Its client was told to send the body."""

    def add(self, piece: bytes) -> None:
        self.pieces.append(piece)
        self.size += len(piece)

    def raw(self) -> bytes:
        """All of it, as it came."""
        return b"".join(self.pieces)

    def whole(self) -> Request:
        """The request with its body. Its head must have come."""
        assert self.request is not None  # noqa: S101 - see above
        return replace(self.request, body=b"".join(self.body))


@dataclass(slots=True)
class Asked:
    """A request that went on to the server, whose response is not over."""

    to_head: bool
    told_to_continue: bool = False
    """The client has had its `100 Continue` already: the server's is not for it."""
    broken: LiveStream | None = None
    by: Meddler | None = None

    @property
    def plain(self) -> bool:
        """Whether its response passes as it comes."""
        return not self.told_to_continue and self.broken is None


@dataclass(frozen=True, slots=True)
class Answered:
    """A request that does not go on to the server, and what its client gets instead."""

    held: Held
    steps: Sequence[Step]
    by: Meddler
