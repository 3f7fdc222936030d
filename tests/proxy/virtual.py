"""Time that passes only when a test says so, and sockets that only remember."""

import asyncio
import heapq
import itertools
from collections.abc import Callable
from random import Random

from brownout.proxy.connection import Connection, Endpoint
from brownout.proxy.counters import Counters
from brownout.proxy.http.endpoint import HttpEndpoint
from brownout.proxy.toxic import Stream, Toxic, load_toxics, toxic_type

load_toxics()


class VirtualTimer:
    def __init__(self, callback: Callable[[], None]) -> None:
        self.callback: Callable[[], None] | None = callback

    def cancel(self) -> None:
        self.callback = None


class VirtualScheduler:
    """A `Scheduler` on virtual seconds."""

    def __init__(self) -> None:
        self._now = 0.0
        self._queue: list[tuple[float, int, VirtualTimer]] = []
        self._order = itertools.count()

    def now(self) -> float:
        return self._now

    def unix(self) -> float:
        return 1_750_000_000.0 + self._now

    def call_at(self, when: float, callback: Callable[[], None]) -> VirtualTimer:
        timer = VirtualTimer(callback)
        heapq.heappush(self._queue, (when, next(self._order), timer))
        return timer

    def advance(self, seconds: float) -> None:
        """Let time pass, calling back whatever falls due, in order."""
        end = self._now + seconds
        while self._queue and self._queue[0][0] <= end:
            when, _, timer = heapq.heappop(self._queue)
            self._now = max(self._now, when)
            if timer.callback is not None:
                timer.callback()
        self._now = end


class VirtualSocket(asyncio.Transport):
    """Remembers what was written and when, and how it ended."""

    def __init__(self, scheduler: VirtualScheduler) -> None:
        super().__init__()
        self._scheduler = scheduler
        self.written: list[tuple[float, bytes]] = []
        self.eof_at: float | None = None
        self._ended: str | None = None
        self._reading = True

    @property
    def received(self) -> bytes:
        return b"".join(chunk for _, chunk in self.written)

    def end(self) -> str | None:
        """`closed`, `aborted` or `reset`; None while it is open."""
        return self._ended

    def is_reading(self) -> bool:
        return self._reading

    def write(self, data: bytes | bytearray | memoryview) -> None:
        assert self.eof_at is None, "written after the end of the stream"
        assert self._ended is None, "written after the end of the connection"
        self.written.append((self._scheduler.now(), bytes(data)))

    def write_eof(self) -> None:
        assert self.eof_at is None, "ended twice"
        self.eof_at = self._scheduler.now()

    def pause_reading(self) -> None:
        self._reading = False

    def resume_reading(self) -> None:
        self._reading = True

    def close(self) -> None:
        self._ended = self._ended or "closed"

    def abort(self) -> None:
        self._ended = self._ended or "aborted"

    def setsockopt(self, *_option: object) -> None:
        self._ended = "reset"

    def get_extra_info(self, name: str, default: object = None) -> object:
        return self if name == "socket" else default


class VirtualConnection:
    """A whole connection with its chains, between two virtual sockets."""

    def __init__(self, *, seed: int = 0, server: type[Endpoint] = Endpoint) -> None:
        self.scheduler = VirtualScheduler()
        self.counters = Counters()
        self.connection = Connection(
            counters=self.counters,
            scheduler=self.scheduler,
            rng=Random(seed),
            accepted=lambda _connection: None,
            dialled=lambda _connection: None,
            gone=lambda _connection: None,
            server=server,
        )
        self.client = VirtualSocket(self.scheduler)
        self.server = VirtualSocket(self.scheduler)

    def accept(self) -> "VirtualConnection":
        self.connection.client.connection_made(self.client)
        return self

    def dial(self) -> "VirtualConnection":
        self.connection.server.connection_made(self.server)
        return self

    def send(self, data: bytes) -> None:
        """The client sends."""
        self.connection.client.data_received(data)

    def answer(self, data: bytes) -> None:
        """The server sends."""
        self.connection.server.data_received(data)


def connected(*, seed: int = 0, http: bool = False) -> VirtualConnection:
    return VirtualConnection(seed=seed, server=HttpEndpoint if http else Endpoint).accept().dial()


def toxic(kind: str, *, stream: Stream = Stream.UPSTREAM, toxicity: float = 1.0, **attributes: float | str) -> Toxic:
    return Toxic(
        name=f"{kind}_{stream}",
        type=kind,
        stream=stream,
        toxicity=toxicity,
        attributes=toxic_type(kind).attributes(**attributes),
    )
