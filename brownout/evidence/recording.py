"""The history of a run, in memory and append-only: what is judged, live and afterwards."""

import math
from array import array
from bisect import bisect_left, insort
from collections.abc import Callable, Sequence
from dataclasses import replace
from operator import attrgetter
from typing import Any, Protocol

from brownout.evidence.knowledge import Knowledge
from brownout.evidence.model import (
    Event,
    FaultSpan,
    KnownDocument,
    KnownQuestion,
    Proof,
    Request,
    Sample,
    Transition,
    Write,
)
from brownout.evidence.requests import Positions, Requests, Table
from brownout.evidence.window import Window

Row = Request | Transition | Sample | Event | FaultSpan | KnownDocument | KnownQuestion | Write


class Sink(Protocol):
    """Where every row goes as it is recorded. Must neither block nor raise: the run goes on whatever becomes of it."""

    def write(self, row: Row) -> None:
        """Take a row. A fault comes twice: when it is on, and again when it is off. So does a write: when it is
        acknowledged, and again when it is counted."""


_at = attrgetter("at")


class Recording:
    """Everything that was recorded, in the order of the run's clock. Belongs to one event loop; there are no locks.

    Rows may arrive out of order (a request arrives when it ends, a recorder looks now and then) and are put in their
    place, so that a recording read back from a file is the one that was written.
    """

    def __init__(self, sink: Sink | None = None) -> None:
        self.sink = sink
        self._table = Table()
        self._by_due, self._by_end = array("I"), array("I")
        self._in_order = True
        self._failures = 0
        self._unanswered: dict[int, tuple[float, str, str | None]] = {}
        self._heard: dict[int, float] = {}
        self._transitions: list[Transition] = []
        self._of_breaker: dict[str, list[Transition]] = {}
        self._samples: list[Sample] = []
        self._events: list[Event] = []
        self._faults: dict[int, FaultSpan] = {}
        self._documents: list[KnownDocument] = []
        self._questions: list[KnownQuestion] = []
        self._knowledge = Knowledge()
        self._writes: dict[int, Write] = {}

    # -- what was recorded ---------------------------------------------------------------------------------------

    @property
    def requests(self) -> tuple[Request, ...]:
        """By intended send time."""
        return tuple(Requests(self._table, self._due(0, len(self._by_due))))

    @property
    def count(self) -> int:
        """Requests that are over."""
        return len(self._table)

    @property
    def failures(self) -> int:
        """Those of them that got no complete answer."""
        return self._failures

    @property
    def transitions(self) -> tuple[Transition, ...]:
        return tuple(self._transitions)

    @property
    def samples(self) -> tuple[Sample, ...]:
        return tuple(self._samples)

    @property
    def events(self) -> tuple[Event, ...]:
        return tuple(self._events)

    @property
    def faults(self) -> tuple[FaultSpan, ...]:
        """By their place in the method."""
        return tuple(self._faults[index] for index in sorted(self._faults))

    @property
    def documents(self) -> tuple[KnownDocument, ...]:
        return tuple(self._documents)

    @property
    def questions(self) -> tuple[KnownQuestion, ...]:
        return tuple(self._questions)

    @property
    def writes(self) -> tuple[Write, ...]:
        """By intended send time."""
        return tuple(sorted(self._writes.values(), key=attrgetter("intended", "number")))

    @property
    def latest(self) -> float:
        """The last moment of which anything is recorded, in seconds of the run; 0 where nothing is."""
        moments = [self._ended(self._by_end[-1])] if self._by_end else []
        moments += [rows[-1].at for rows in (self._transitions, self._samples, self._events) if rows]
        moments += [write.done for write in self._writes.values()]
        moments += [span.on if span.off is None else span.off for span in self._faults.values()]
        return max(moments, default=0.0)

    # -- recording -----------------------------------------------------------------------------------------------

    def request_started(
        self,
        id: int,  # noqa: A002 - the field's name in the evidence
        intended: float,
        *,
        tier: str = "",
        load: str | None = None,
    ) -> None:
        """A request was sent; until it is added it is unanswered, which live windows show."""
        self._unanswered[id] = (intended, tier, load)

    def request_heard(self, id: int, at: float) -> None:  # noqa: A002 - as above
        """Some of its answer has come: it may take its time, but nobody is silent."""
        self._heard[id] = at

    def add_request(self, request: Request) -> None:
        """A request is over, however it ended."""
        self._unanswered.pop(request.id, None)
        self._heard.pop(request.id, None)
        self._failures += request.outcome != "ok"
        position = self._table.add(request)
        self._in_order &= _insert(self._by_due, position, key=self._when_due)
        _insert(self._by_end, position, key=self._ended)
        self._tell(request)

    def add_transition(self, transition: Transition) -> None:
        insort(self._transitions, transition, key=_at)
        insort(self._of_breaker.setdefault(transition.dependency, []), transition, key=_at)
        self._tell(transition)

    def add_sample(self, sample: Sample) -> None:
        insort(self._samples, sample, key=_at)
        self._tell(sample)

    def add_event(self, event: Event) -> None:
        insort(self._events, event, key=_at)
        self._tell(event)

    def know(self, documents: Sequence[KnownDocument], questions: Sequence[KnownQuestion]) -> None:
        """What is known of the system's documents, and of the questions that it is asked. Adds to what was known."""
        self._documents += documents
        self._questions += questions
        self._knowledge = Knowledge.of(self._documents, self._questions)
        for document in documents:
            self._tell(document)
        for question in questions:
            self._tell(question)

    def add_write(self, write: Write) -> None:
        """A document was written, or not; told again, the later row replaces the earlier one."""
        self._writes[write.number] = write
        self._tell(write)

    def fault_on(self, index: int, fault: str, title: str, at: float) -> None:
        """The method's fault number `index` is on since `at`.

        Raises:
            ValueError: that one has been on before.
        """
        if index in self._faults:
            msg = f"fault {index} ({title}) was on before"
            raise ValueError(msg)
        self._set_fault(FaultSpan(index, fault, title, on=at))

    def fault_off(self, index: int, at: float, proof: Proof | None = None) -> None:
        """It is off since `at`. Healing again changes nothing: the first time counts.

        Raises:
            ValueError: it was never on.
        """
        span = self._faults.get(index)
        if span is None:
            msg = f"fault {index} was never on"
            raise ValueError(msg)
        if span.off is None:
            self._set_fault(replace(span, off=at, proof=proof))

    def add_fault(self, span: FaultSpan) -> None:
        """A fault as it was recorded earlier."""
        self._set_fault(span)

    def _set_fault(self, span: FaultSpan) -> None:
        self._faults[span.index] = span
        self._tell(span)

    def _tell(self, row: Row) -> None:
        if self.sink is not None:
            self.sink.write(row)

    # -- windows -------------------------------------------------------------------------------------------------

    def window(self, name: str, start: float, end: float) -> Window:
        """What was recorded of `start <= t < end`; requests by when they were meant to be sent.

        Raises:
            ValueError: it would end before it starts.
        """
        if end < start:
            msg = f"a window cannot end ({end}) before it starts ({start})"
            raise ValueError(msg)
        first, last = (
            bisect_left(self._by_due, at, key=self._table.columns["intended"].__getitem__) for at in (start, end)
        )
        history = self._transitions[: bisect_left(self._transitions, end, key=_at)]
        writes = tuple(write for write in self.writes if write.intended < end)
        return self._window(name, start, end, Requests(self._table, self._due(first, last)), history, writes=writes)

    def live_window(self, now: float, over: float, *, pending_after: float | None = None) -> Window:
        """The last `over` seconds as they look at `now`, for abort conditions.

        A request counts when it *finished* in that stretch, or when nothing has been heard of it for longer than
        `pending_after` seconds (`over` where that is None), as `pending`: behind a black hole nothing ever finishes,
        and that must breach an availability.
        """
        start = now - over
        patience = over if pending_after is None else pending_after
        first, last = (bisect_left(self._by_end, at, key=self._ended) for at in (start, now))
        requests = Requests(self._table, array("I", sorted(self._by_end[first:last], key=self._when_due)))
        if overdue := self._overdue(now, patience):
            requests = Requests.of(sorted([*requests, *overdue], key=attrgetter("intended", "id")))
        return self._window("abort", start, now, requests, self._recent_history(start, now))

    def as_of(self, now: float, *, patience: float) -> "Recording":
        """A copy in which every request that was silent for longer than `patience` seconds is there, as `pending`.

        For a judgement while the run lasts: a question that nobody answers must not be missing from it.
        """
        copy = Recording()
        copy._table, copy._by_due, copy._by_end = self._table.copy(), self._by_due[:], self._by_end[:]
        copy._in_order = self._in_order
        copy._transitions, copy._samples, copy._events = self._transitions, self._samples, self._events
        copy._faults, copy._knowledge, copy._writes = self._faults, self._knowledge, self._writes
        for request in self._overdue(now, patience):
            copy.add_request(request)
        return copy

    def _overdue(self, now: float, patience: float) -> list[Request]:
        return [
            _pending(id_, due, tier=tier, load=load)
            for id_, (due, tier, load) in self._unanswered.items()
            if now - self._heard.get(id_, due) > patience
        ]

    def _recent_history(self, start: float, end: float) -> list[Transition]:
        """The transitions of a stretch, and before it the last one of each dependency: its length is the stretch's."""
        recent = []
        for changes in self._of_breaker.values():
            first, last = (bisect_left(changes, at, key=_at) for at in (start, end))
            recent += changes[max(first - 1, 0) : last]
        return sorted(recent, key=_at)

    def _when_due(self, position: int) -> tuple[float, int]:
        columns = self._table.columns
        return columns["intended"][position], columns["id"][position]

    def _ended(self, position: int) -> float:
        done: float = self._table.columns["done"][position]
        sent: float = self._table.columns["sent"][position]
        return sent if math.isnan(done) else done

    def _due(self, first: int, last: int) -> Positions:
        """Which rows of the table are those from number `first` on, by intended send time."""
        return range(first, last) if self._in_order else self._by_due[first:last]

    def _window(
        self,
        name: str,
        start: float,
        end: float,
        requests: Requests,
        history: Sequence[Transition],
        *,
        writes: tuple[Write, ...] = (),
    ) -> Window:
        samples = self._samples[bisect_left(self._samples, start, key=_at) : bisect_left(self._samples, end, key=_at)]
        return Window(
            name=name,
            start=start,
            end=end,
            requests=requests,
            history=tuple(history),
            samples=tuple(samples),
            faults=tuple(span for span in self.faults if span.on < end and (span.off is None or span.off > start)),
            knowledge=self._knowledge,
            writes=writes,
        )


def _insert(positions: "array[int]", position: int, *, key: Callable[[int], Any]) -> bool:
    """Put a position in its place; tells whether that was the last one, where nearly all belong."""
    at_end = not positions or key(positions[-1]) <= key(position)
    if at_end:
        positions.append(position)
    else:
        insort(positions, position, key=key)
    return at_end


def _pending(id_: int, intended: float, *, tier: str, load: str | None) -> Request:
    return Request(
        id=id_,
        intended=intended,
        sent=intended,
        first_token=None,
        done=None,
        outcome="pending",
        status=None,
        error=None,
        error_source=None,
        question="",
        tenant="",
        tier=tier,
        policy="",
        stream=False,
        load=load,
    )
