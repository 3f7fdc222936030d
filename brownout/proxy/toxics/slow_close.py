"""A connection takes its time to close."""

from dataclasses import dataclass

from brownout.proxy.link import Link
from brownout.proxy.scheduler import Timer
from brownout.proxy.toxic import Stage, Toxic, register


@dataclass(frozen=True, slots=True, kw_only=True)
class SlowCloseAttributes:
    """That the sender has closed is told after `delay`; data is not delayed."""

    delay: int = 0
    """Milliseconds."""


@register("slow_close", SlowCloseAttributes)
class SlowClose(Stage[SlowCloseAttributes]):
    """Holds the end of the stream, be it a close or a reset."""

    def __init__(self, toxic: Toxic, link: Link) -> None:
        super().__init__(toxic, link)
        self._held_since: float | None = None
        self._timer: Timer | None = None

    def eof(self) -> None:
        self.link.counters.delayed_closes += 1
        self._held_since = self.link.scheduler.now()
        self.updated()

    def updated(self) -> None:
        if self._held_since is not None:
            self.closed()
            due = self._held_since + self.attributes.delay / 1000
            self._timer = self.link.scheduler.call_at(due, self._release)

    def detached(self) -> None:
        if self._held_since is not None:
            self._release()

    def closed(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _release(self) -> None:
        self.closed()
        self._held_since = None
        self.forward_eof()
