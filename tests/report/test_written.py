"""What the report says of documents that were stored while the run lasted."""

from collections.abc import Callable
from typing import Any

from brownout.evidence.model import FaultSpan, Write, WriteOutcome
from brownout.report.figures import AFTER, BEFORE, BROKEN, WHOLE
from brownout.report.html import render
from brownout.report.markdown import markdown
from brownout.report.view import RunView
from brownout.report.written import MOST, Stored, written

Made = dict[str, Callable[..., Any]]
FAULTS = (
    FaultSpan(0, "kill", "kill vector-db", 10.0, 12.0),
    FaultSpan(1, "kill", "kill vector-db", 20.0, 22.0),
)


def write(number: int, at: float, outcome: WriteOutcome = "acknowledged", copies: int | None = 1) -> Write:
    return Write(number, f"written-{number}", "meridian-bank", at, at, at + 0.2, outcome, copies=copies)


def told(made: Made, *writes: Write) -> RunView:
    run = made["passed"]()
    for one in writes:
        run.recording.add_write(one)
    return RunView(run.info, run.experiment, run.recording, run.judgement)


def test_each_part_of_the_run_tells_what_became_of_its_documents() -> None:
    writes = [
        write(1, 1.0),
        write(2, 11.0, copies=0),
        write(3, 15.0, copies=2),  # between two faults counts as broken, as it does for the checks
        write(4, 21.0, "refused", copies=0),
        write(5, 21.0, "timeout"),
        write(6, 21.0, "unanswered", copies=None),
        write(7, 30.0, copies=None),
    ]
    found = written(writes, FAULTS, end=60.0)
    assert found is not None
    assert found.parts == (
        Stored(BEFORE, 1, 1, 0, 0, once=1, lost=0, repeated=0, uncounted=0),
        Stored(BROKEN, 5, 2, 1, 2, once=0, lost=1, repeated=1, uncounted=0),
        Stored(AFTER, 1, 1, 0, 0, once=0, lost=0, repeated=0, uncounted=1),
    )
    assert [one.number for one in found.wrong] == [2, 3]


def test_a_run_without_a_fault_is_one_part_and_one_without_writes_has_none() -> None:
    found = written([write(1, 1.0)], (), end=60.0)
    assert found is not None
    assert [one.part for one in found.parts] == [WHOLE]
    assert written([], FAULTS, end=60.0) is None


def test_a_lost_document_is_named_in_the_report(made: Made) -> None:
    page = render(told(made, write(1, 1.0), write(2, 15.0, copies=0)))
    assert "Documents written" in page
    assert "<code>written-2</code>" in page
    assert "<code>written-1</code>" not in page


def test_of_many_lost_documents_the_first_are_named(made: Made) -> None:
    page = render(told(made, *(write(n, 15.0 + n / 100, copies=0) for n in range(MOST + 5))))
    assert f"not held once: {MOST + 5}" in page
    assert f"The first {MOST} of them." in page
    assert f"written-{MOST - 1}<" in page
    assert f"written-{MOST}<" not in page


def test_a_report_of_a_run_that_wrote_nothing_does_not_speak_of_it(made: Made) -> None:
    assert "Documents written" not in render(told(made))
    assert "written" not in markdown(told(made))


def test_a_pull_request_is_told_in_one_sentence(made: Made) -> None:
    kept = markdown(told(made, write(1, 1.0), write(2, 15.0), write(3, 16.0, "refused", copies=0)))
    assert "Of 3 documents written 2 were acknowledged; of these none lost and none held several times." in kept
    lost = markdown(told(made, write(1, 1.0), write(2, 15.0, copies=0)))
    assert "of these **1 lost** and none held several times." in lost
    unknown = markdown(told(made, write(1, 1.0, copies=None)))
    assert "of 1 of these nobody counted whether they are there" in unknown
