"""What a link has carried, swallowed and broken: the proof that a fault really took effect."""

from dataclasses import dataclass, field


@dataclass(slots=True)
class Flow:
    """Bytes in one direction of a link, over all its connections."""

    passed: int = 0
    """Where no toxic is in the way. One addition for each chunk, since this is the path that must be fast."""
    entered: int = 0
    """Into toxics."""
    left: int = 0
    """Out of them, again."""
    swallowed: int = 0
    """By toxics."""
    kept: int = 0
    """At the far end, by who may answer it or has done so; it has come out of the toxics, and gone no further."""

    @property
    def received(self) -> int:
        return self.passed + self.entered

    @property
    def forwarded(self) -> int:
        return self.passed + self.left - self.kept


@dataclass(slots=True)
class Counters:
    """The live counters of one link, as `LinkCounters` explains them. They only grow, `connections_active` excepted."""

    connections_opened: int = 0
    connections_active: int = 0
    dial_failures: int = 0
    resets: int = 0
    delayed_chunks: int = 0
    throttled_bytes: int = 0
    sliced_chunks: int = 0
    corrupted_bytes: int = 0
    truncated_connections: int = 0
    dropped_connections: int = 0
    stalled_handshakes: int = 0
    delayed_closes: int = 0
    requests: int = 0
    matched_requests: int = 0
    failed_requests: int = 0
    queries: int = 0
    failed_queries: int = 0
    drained_connections: int = 0
    upstream: Flow = field(default_factory=Flow)
    downstream: Flow = field(default_factory=Flow)

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
            throttled_bytes=self.throttled_bytes,
            sliced_chunks=self.sliced_chunks,
            corrupted_bytes=self.corrupted_bytes,
            truncated_connections=self.truncated_connections,
            dropped_connections=self.dropped_connections,
            stalled_handshakes=self.stalled_handshakes,
            delayed_closes=self.delayed_closes,
            requests=self.requests,
            matched_requests=self.matched_requests,
            failed_requests=self.failed_requests,
            queries=self.queries,
            failed_queries=self.failed_queries,
            drained_connections=self.drained_connections,
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
    """Connections that `reset_peer` reset, and established ones that `drop_connections` did."""
    dial_failures: int
    """Clients dropped because the server could not be reached."""
    delayed_chunks: int
    """Chunks (reads off a socket) that `latency` held back for a time."""
    throttled_bytes: int
    """Bytes that went through `bandwidth`."""
    sliced_chunks: int
    """Chunks that `slicer` took apart."""
    corrupted_bytes: int
    """Bytes of which `corrupt` flipped a bit."""
    truncated_connections: int
    """Connections that `limit_data` cut off."""
    dropped_connections: int
    """New connections that `drop_connections` reset."""
    stalled_handshakes: int
    """TLS handshakes of which `tls_stall` swallowed the beginning."""
    delayed_closes: int
    """Ends of a stream that `slow_close` held back for a time."""
    requests: int
    """HTTP requests; on a link that is declared to carry them."""
    matched_requests: int
    """Of those, what `provider_failure` was meant for, and could befall."""
    failed_requests: int
    """And what it did befall."""
    queries: int
    """DNS queries for its host name."""
    failed_queries: int
    """Of those, the ones that `dns_failure` answered otherwise, late, or not at all."""
    drained_connections: int
    """Connections that `dns_failure` closed between two requests."""
