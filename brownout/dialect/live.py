"""A provider's own stream, broken on its way: the tokens are the provider's, the failure is not."""

import re
from collections.abc import Sequence

from brownout.dialect.answer import Chunk, Cut, Hang, Step, Wait
from brownout.dialect.call import Call
from brownout.dialect.dialect import Dialect
from brownout.dialect.failure import Failure, Options

EVENT_STREAM = "application/vnd.amazon.eventstream"
LINES = "application/x-ndjson"
_BLANK_LINE = re.compile(rb"\r?\n\r?\n")
_LENGTH = 4
LARGEST_EVENT = 2**24
"""Bytes that may gather before an event is whole; 16 MiB, the most that AWS's event streams allow. Beyond it all
passes as it comes."""


class LiveStream:
    """Takes the body of a good streamed answer, piece by piece, and gives the steps of one that fails.

    Data in steps is not framed. `struck` says whether anything has been broken yet: a stream that is too short for its
    failure stays whole.
    """

    def __init__(self, dialect: Dialect, failure: Failure, call: Call, options: Options) -> None:
        self.struck = False
        self._dialect = dialect
        self._failure = failure
        self._call = call
        self._options = options
        self._rest = b""
        self._events = 0
        self._tokens = 0
        """How many have come so far."""
        self._held: list[bytes] = []
        self._released = False
        self._over = False
        """The stream has turned into an error: nothing more of it is let through."""

    @property
    def stream_type(self) -> str:
        """The media type of a streamed answer."""
        return self._dialect.stream_type

    def release(self) -> Sequence[Step]:
        """Break nothing any more; what was held back. A stream that has become an error stays one."""
        self._released = True
        return self.end()

    def feed(self, data: bytes) -> Sequence[Step]:
        """What comes of a piece of the body, wherever it begins and ends."""
        if self._released and not self._over:
            return [Chunk(data)]
        whole, self._rest = _split(self._rest + data, self._dialect.stream_type)
        return [step for event in whole if not self._over for step in self._broken(event)]

    def end(self) -> Sequence[Step]:
        """What comes at the end of the body, before the end itself."""
        rest, self._rest = self._rest, b""
        held, self._held = self._held, []
        if rest:
            held.append(rest)
        if self._over or not held:
            return []
        if self._failure is Failure.ONE_GIANT_CHUNK:
            self.struck = True
            return [Wait(self._options.delay), Chunk(b"".join(held))]
        if self._failure is Failure.MISSING_TERMINATOR and not self._released:
            self.struck = True
            return []
        return [Chunk(event) for event in held]

    def _broken(self, event: bytes) -> Sequence[Step]:  # noqa: PLR0911 - one each
        self._events += 1
        says = self._dialect.says(event)
        self._tokens += says
        match self._failure:
            case Failure.ONE_GIANT_CHUNK:
                self._held.append(event)
                return []
            case Failure.MISSING_TERMINATOR:
                return self._without_end(event, says=says)
            case Failure.SLOW_FIRST_TOKEN if says and self._tokens == 1:
                return self._strikes(Wait(self._options.delay), Chunk(event))
            case Failure.SLOW_TOKENS if says:
                return self._strikes(Wait(self._options.gap), Chunk(event))
            case Failure.STALL | Failure.DISCONNECT | Failure.ERROR_EVENT:
                return self._stopping(event, says=says)
            case Failure.MALFORMED_EVENT if says and self._tokens == self._options.after + 1:
                return self._strikes(Chunk(self._dialect.malformed(event)))
            case Failure.DUPLICATED_CHUNKS if says and self._tokens == self._options.after + 1:
                return self._strikes(Chunk(event), Chunk(event))
            case Failure.REORDERED_CHUNKS:
                return self._reordered(event, says=says)
            case _:
                return [Chunk(event)]

    def _strikes(self, *steps: Step) -> Sequence[Step]:
        self.struck = True
        return steps

    def _stopping(self, event: bytes, *, says: bool) -> Sequence[Step]:
        after = self._options.after
        # Right behind the last token that may pass: it might be the stream's last one.
        if self.struck or not says or self._tokens != max(after, 1):
            return [Chunk(event)]
        self._over = self._failure is not Failure.STALL
        stop: Step = Hang() if self._failure is Failure.STALL else Cut()
        if self._failure is Failure.ERROR_EVENT:
            stop = Chunk(self._dialect.error_event(self._call, self._events))
        if after:
            return self._strikes(Chunk(event), stop)
        return self._strikes(stop, Chunk(event)) if self._failure is Failure.STALL else self._strikes(stop)

    def _without_end(self, event: bytes, *, says: bool) -> Sequence[Step]:
        """What is no token is held back once there has been one: another token shows that it was not the end."""
        if not says and self._tokens:
            self._held.append(event)
            return []
        held, self._held = self._held, []
        return [Chunk(before) for before in (*held, event)]

    def _reordered(self, event: bytes, *, says: bool) -> Sequence[Step]:
        if says and self._tokens == self._options.after + 1:
            self._held.append(event)
            return []
        held, self._held = self._held, []
        if held and says:
            self.struck = True
            return [Chunk(event), *map(Chunk, held)]
        return [*map(Chunk, held), Chunk(event)]


def _split(data: bytes, stream_type: str) -> tuple[Sequence[bytes], bytes]:
    """Whole events, with what ends each, and what is left."""
    events, start = [], 0
    while (end := _end(data, start, stream_type)) is not None:
        events.append(data[start:end])
        start = end
    if len(data) - start > LARGEST_EVENT:
        return [*events, data[start:]], b""
    return events, data[start:]


def _end(data: bytes, start: int, stream_type: str) -> int | None:
    """Where the event ends that begins there; None where it is not whole."""
    if stream_type == EVENT_STREAM:
        length = int.from_bytes(data[start : start + _LENGTH], "big")
        return start + length if _LENGTH < length <= len(data) - start else None
    if stream_type == LINES:
        at = data.find(b"\n", start)
        return at + 1 if at >= 0 else None
    found = _BLANK_LINE.search(data, start)
    return found.end() if found is not None else None
