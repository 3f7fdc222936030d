"""Data arrives late, in order, and complete."""

from collections import deque
from dataclasses import dataclass
from typing import NamedTuple

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic, register

# Beyond this much held back in one direction of one connection the sender is stopped, which caps the throughput at
# HELD_LIMIT / latency. The size is Toxiproxy's: 1024 chunks of 32 KiB.
HELD_LIMIT = 32 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencyAttributes:
    """Each chunk is delayed by `latency` ± `jitter`, evenly spread."""

    latency: int = 0
    """Milliseconds."""
    jitter: int = 0
    """Milliseconds."""


class _Held(NamedTuple):
    arrived: float
    due: float
    chunk: bytes | None
    """None is the end of the stream, which is delayed like data."""


@register("latency", LatencyAttributes)
class Latency(Stage[LatencyAttributes]):
    """Holds every chunk until it is due, and those before it have gone: never early, never overtaking."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._held: deque[_Held] = deque()
        self._held_bytes = 0
        self._timer: Timer | None = None

    def data(self, chunk: bytes) -> None:
        self._held_bytes += len(chunk)
        if self._held_bytes > HELD_LIMIT:
            self.link.pause(self)
        self._hold(chunk)

    def eof(self) -> None:
        self._hold(None)

    def updated(self) -> None:
        """What is already held gets its delay anew, counted from its arrival."""
        self._stop_timer()
        held, self._held = self._held, deque()
        for item in held:
            self._held.append(self._due(item.arrived, item.chunk))
        self._release()

    def detached(self) -> None:
        self._stop_timer()
        while self._held:
            self._pass_on(self._held.popleft())
        self.link.resume(self)

    def closed(self) -> None:
        self._stop_timer()
        self._held.clear()

    def _hold(self, chunk: bytes | None) -> None:
        waits = bool(self._held)
        item = self._due(self.link.scheduler.now(), chunk)
        self._held.append(item)
        # The counter is what proves a delay: what goes on as it comes must not move it.
        if chunk is not None and (waits or item.due > item.arrived):
            self.link.counters.delayed_chunks += 1
        if self._timer is None:
            self._timer = self.link.scheduler.call_at(self._held[0].due, self._wake)

    def _due(self, arrived: float, chunk: bytes | None) -> _Held:
        delay_ms: float = self.attributes.latency
        jitter_ms = self.attributes.jitter
        if jitter_ms:
            delay_ms += self.link.rng.uniform(-jitter_ms, jitter_ms)
        return _Held(arrived, arrived + max(delay_ms, 0.0) / 1000, chunk)

    def _wake(self) -> None:
        self._timer = None
        self._release()

    def _release(self) -> None:
        now = self.link.scheduler.now()
        while self._held and self._held[0].due <= now:
            self._pass_on(self._held.popleft())
        if self._held_bytes <= HELD_LIMIT // 2:
            self.link.resume(self)
        if self._held:
            self._timer = self.link.scheduler.call_at(self._held[0].due, self._wake)

    def _pass_on(self, item: _Held) -> None:
        if item.chunk is None:
            self.forward_eof()
        else:
            self._held_bytes -= len(item.chunk)
            self.forward(item.chunk)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
