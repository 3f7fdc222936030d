"""Documents that are written while the run lasts, on a clock that does not wait."""

import asyncio
import random
from collections.abc import Callable, Sequence

import pytest

from brownout.evidence import Write
from brownout.experiment import Writes
from brownout.load.writer import FIRST_QUESTION, Writer, written
from brownout.target import Caller, Document, NotAcknowledged, Question
from brownout.units import Latency, Rate
from tests.load.test_generator import FakeClock

CALLERS = [Caller("acme", "pro", "a"), Caller("umbra", "free", "u")]


class Book:
    """What is recorded of writes."""

    def __init__(self) -> None:
        self._rows: dict[int, Write] = {}

    @property
    def writes(self) -> Sequence[Write]:
        return [self._rows[number] for number in sorted(self._rows)]

    def add_write(self, write: Write) -> None:
        self._rows[write.number] = write


class Shelf:
    """A system that does with a document what a test says."""

    def __init__(self, does: Callable[[int], str] = lambda _: "store") -> None:
        self.does = does
        self.ids: list[str] = []
        self.asked = 0

    async def store(self, document: Document) -> None:
        self.asked += 1
        match self.does(self.asked):
            case "store":
                self.ids.append(document.id)
            case "store twice":
                self.ids += [document.id] * 2
            case "hang":
                await asyncio.Event().wait()
            case "refuse":
                msg = "503"
                raise NotAcknowledged(msg)

    async def stored(self) -> Sequence[str]:
        return ["from-before", *self.ids]


def play(
    shelf: Shelf, writes: Writes, *, until: float = 2.05, seed: int = 7, grace: float = 30.0
) -> tuple[Book, list[tuple[int, str, str]]]:
    """Write, and count; what was recorded, and what was asked by whom."""
    book, clock, asked = Book(), FakeClock(), []
    learnt: list[str] = []

    async def ask(number: int, intended: float, question: Question, caller: Caller) -> None:
        assert intended == clock.now()
        assert (question.sources, question.tenant) == ((question.id,), caller.tenant)
        assert question.id in learnt
        asked.append((number, question.id, caller.tenant))

    async def scenario() -> None:
        writer = Writer(
            shelf,
            writes,
            callers=CALLERS,
            record=book,
            clock=clock,
            seed=seed,
            ask=ask,
            learn=lambda document, _: learnt.append(document.id),
        )
        await writer.run(until=until, grace=grace)
        await writer.take_stock()

    asyncio.run(scenario())
    return book, asked


def test_each_document_is_written_when_it_is_due_asked_for_at_once_and_counted_in_the_end() -> None:
    book, asked = play(Shelf(), Writes(rate=Rate(2)))
    assert [write.intended for write in book.writes] == [0.5, 1.0, 1.5, 2.0]
    assert {(write.outcome, write.copies) for write in book.writes} == {("acknowledged", 1)}
    assert [(number, id_) for number, id_, _ in asked] == [
        (FIRST_QUESTION + index, write.document) for index, write in enumerate(book.writes)
    ]
    assert {tenant for _, _, tenant in asked} <= {"acme", "umbra"}


def test_what_was_not_acknowledged_is_not_asked_for_and_is_counted_all_the_same() -> None:
    book, asked = play(Shelf(lambda number: "refuse" if number % 2 else "store twice"), Writes(rate=Rate(2)))
    assert [(write.outcome, write.error, write.copies) for write in book.writes] == [
        ("refused", "503", 0),
        ("acknowledged", None, 2),
    ] * 2
    assert [id_ for _, id_, _ in asked] == [write.document for write in book.writes if write.outcome == "acknowledged"]


def test_one_that_nobody_acknowledges_times_out_or_ends_with_the_run() -> None:
    book, _ = play(
        Shelf(lambda number: "hang" if number == 1 else "store"), Writes(rate=Rate(2), timeout=Latency(0.02))
    )
    assert [write.outcome for write in book.writes] == ["timeout", "acknowledged", "acknowledged", "acknowledged"]
    book, _ = play(Shelf(lambda _: "hang"), Writes(rate=Rate(2), timeout=Latency(30.0)), grace=0.05)
    assert [write.outcome for write in book.writes] == ["unanswered"] * 4


def test_the_same_seed_writes_the_same_documents_and_another_one_others() -> None:
    first, again, other = (play(Shelf(), Writes(), seed=seed)[0].writes for seed in (7, 7, 8))
    assert [write.document for write in first] == [write.document for write in again]
    assert {write.document for write in first}.isdisjoint(write.document for write in other)


def test_a_document_says_what_its_question_asks_for() -> None:
    document, question = written(3, "acme", random.Random(1))
    name = document.id.rpartition("-")[2]
    assert document.id.startswith("notice-3-")
    assert name in document.text
    assert name in question.text


def test_nobody_to_write_is_refused() -> None:
    with pytest.raises(ValueError, match="nobody"):
        Writer(
            Shelf(),
            Writes(),
            callers=[],
            record=Book(),
            clock=FakeClock(),
            seed=1,
            ask=lambda *_: asyncio.sleep(0),
            learn=lambda *_: None,
        )
