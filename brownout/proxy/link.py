"""One direction of a connection, with its chain of toxics.

    source socket ──stage → stage──▶ sink socket

Bytes are pushed through a chain by plain calls: no task, no queue and no copy where no toxic asks for one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from brownout.proxy.counters import Flow
from brownout.proxy.toxic import TOXIC_TYPES, Stage, Stream, Toxic

if TYPE_CHECKING:
    from brownout.proxy.connection import Connection, Endpoint


class Link:
    """One direction of one connection: what is read off the source goes through the stages into the sink."""

    __slots__ = (
        "_brakes",
        "_cut",
        "_draws",
        "_early",
        "_ended_badly",
        "_open",
        "_stages",
        "_started",
        "connection",
        "counters",
        "ended",
        "feed",
        "flow",
        "opposite",
        "rng",
        "scheduler",
        "sink",
        "source",
        "stream",
    )

    feed: Callable[[bytes], None]
    """Where the source's bytes enter: the first stage, or the sink."""
    opposite: Link
    source: Endpoint
    sink: Endpoint

    def __init__(self, connection: Connection, stream: Stream, flow: Flow) -> None:
        self.connection = connection
        self.stream = stream
        self.flow = flow
        self.counters = connection.counters
        self.scheduler = connection.scheduler
        self.rng = connection.rng
        self.ended = False
        """The source will send no more; what it sent before may still be on its way."""
        self._ended_badly = False
        self._cut = False
        self._open = True
        self._brakes: set[object] = set()
        self._stages: list[Stage[Any]] = []
        self._draws: dict[Toxic, float] = {}
        self._started = False
        self._early: list[bytes] = []
        self.feed = self._keep

    def start(self) -> None:
        """The sink is there: let flow what was sent too early, and all that follows."""
        self._started = True
        self._chain(self._stages)
        early, self._early = self._early, []
        for chunk in early:
            self.feed(chunk)
        self.resume(self)
        if self.ended:
            self._end_stream()

    def apply(self, toxics: Sequence[Toxic]) -> None:
        """Make the chain consist of those of the toxics that strike this connection, in their order.

        Chance is drawn once per toxic and connection, so raising a toxicity only adds connections and lowering it only
        frees some.
        """
        for toxic in toxics:
            if toxic not in self._draws:
                self._draws[toxic] = self.rng.random()
        self._draws = {toxic: self._draws[toxic] for toxic in toxics}
        if self._open:
            self._arrange([toxic for toxic in toxics if self._draws[toxic] < toxic.toxicity])

    def update(self, toxic: Toxic) -> None:
        """A toxic's attributes have changed."""
        for stage in self._stages:
            if stage.toxic is toxic:
                stage.updated()

    def pause(self, why: object) -> None:
        """Stop reading from the source, until every reason given has been taken back by `resume`."""
        if not self._brakes and self._reading:
            self.source.pause_reading()
        self._brakes.add(why)

    def resume(self, why: object) -> None:
        """Take back a reason to pause; harmless if it was not given."""
        if why in self._brakes:
            self._brakes.remove(why)
            if not self._brakes and self._reading:
                self.source.resume_reading()

    def end(self, *, badly: bool = False) -> None:
        """The source is at its end: an orderly one, or a reset. It goes through the stages like data."""
        self._ended_badly |= badly
        if not self.ended:
            self.ended = True
            if badly or self._started:
                self._end_stream()

    def cut(self) -> None:
        """The stream ends short of its end: when the end that a stage now forwards gets through, both sides close."""
        self._cut = True

    def close(self) -> None:
        """Forward nothing any more."""
        if self._open:
            self._open = False
            for stage in self._stages:
                stage.closed()
            self._stages = []
            self.feed = _drop

    @property
    def _reading(self) -> bool:
        # Event loops would report the end of the stream a second time if reading were resumed after it.
        return self._open and not self.ended

    def _arrange(self, striking: Sequence[Toxic]) -> None:
        for stage in [stage for stage in self._stages if stage.toxic not in striking]:
            # While it still is in the chain, so that what it held back goes before whatever comes next.
            stage.detached()
            if not self._open:
                return
            self._chain([kept for kept in self._stages if kept is not stage])
        known = {stage.toxic: stage for stage in self._stages}
        self._chain([known.get(toxic) or TOXIC_TYPES[toxic.type].stage(toxic, self) for toxic in striking])
        for stage in self._stages:
            if stage.toxic not in known:
                stage.attached()

    def _chain(self, stages: list[Stage[Any]]) -> None:
        self._stages = stages
        forward: Callable[[bytes], None] = self._leave
        forward_eof: Callable[[], None] = self._finish
        for stage in reversed(stages):
            stage.forward, stage.forward_eof = forward, forward_eof
            forward, forward_eof = stage.data, stage.eof
        self.feed = self._enter if stages else self._pass

    def _end_stream(self) -> None:
        if self._stages:
            self._stages[0].eof()
        elif self._open:
            self._finish()

    def _keep(self, chunk: bytes) -> None:
        self._early.append(chunk)
        self.pause(self)

    def _pass(self, chunk: bytes) -> None:
        self.flow.passed += len(chunk)
        self.sink.write(chunk)

    def _enter(self, chunk: bytes) -> None:
        self.flow.entered += len(chunk)
        self._stages[0].data(chunk)

    def _leave(self, chunk: bytes) -> None:
        self.flow.left += len(chunk)
        self.sink.write(chunk)

    def _finish(self) -> None:
        if self._ended_badly:
            self.connection.reset()
        elif self._cut:
            self.connection.close()
        else:
            self.connection.finished(self)


def _drop(_chunk: bytes) -> None:
    """Stands where a closed link's entrance was."""
