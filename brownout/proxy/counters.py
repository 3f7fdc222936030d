"""What a link has carried, swallowed and broken: the proof that a fault really took effect."""

from dataclasses import dataclass


@dataclass(slots=True)
class Flow:
    """Bytes in one direction of a link, over all its connections."""

    forwarded: int = 0
    swallowed: int = 0


class Counters:
    """The live counters of one link. They only grow, `connections_active` excepted."""

    __slots__ = (
        "connections_active",
        "connections_opened",
        "delayed_chunks",
        "dial_failures",
        "downstream",
        "resets",
        "upstream",
    )

    def __init__(self) -> None:
        self.connections_opened = 0
        self.connections_active = 0
        self.dial_failures = 0
        self.resets = 0
        self.delayed_chunks = 0
        self.upstream = Flow()
        self.downstream = Flow()

    def snapshot(self) -> "LinkCounters":
        return LinkCounters(
            connections_opened=self.connections_opened,
            connections_active=self.connections_active,
            upstream_bytes=self.upstream.forwarded,
            downstream_bytes=self.downstream.forwarded,
            upstream_swallowed=self.upstream.swallowed,
            downstream_swallowed=self.downstream.swallowed,
            resets=self.resets,
            dial_failures=self.dial_failures,
            delayed_chunks=self.delayed_chunks,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkCounters:
    """The counters of one link at one moment."""

    connections_opened: int
    """Clients accepted."""
    connections_active: int
    """Of those, still open."""
    upstream_bytes: int
    """Bytes forwarded from client to server."""
    downstream_bytes: int
    """Bytes forwarded from server to client."""
    upstream_swallowed: int
    """Bytes from the client that a toxic discarded."""
    downstream_swallowed: int
    """Bytes from the server that a toxic discarded."""
    resets: int
    """Connections that a toxic reset."""
    dial_failures: int
    """Clients dropped because the server could not be reached."""
    delayed_chunks: int
    """Chunks (reads off a socket) that a toxic held back for a time."""
