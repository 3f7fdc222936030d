"""The recording: whatever the order of arrival, a window is what a look through all the rows would find."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import FaultSpan, KnownDocument, KnownQuestion, Proof, Recording, Request, Row, Transition, Write
from tests.evidence.making import MOMENTS, contents, evenly, fill, record, request


@given(fill(), MOMENTS, MOMENTS)
def test_a_window_holds_what_a_look_through_all_rows_finds(rows: list[Any], one: float, other: float) -> None:
    start, end = sorted((one, other))
    recording = Recording()
    for row in rows:
        record(recording, row)
    window = recording.window("during", start, end)
    asked = [row for row in rows if isinstance(row, Request)]
    due = [row for row in asked if start <= row.intended < end]
    assert window.requests == tuple(sorted(due, key=lambda row: (row.intended, row.id)))
    changes = [row for row in rows if isinstance(row, Transition) and row.at < end]
    assert window.history == tuple(sorted(changes, key=lambda row: row.at))
    assert [sample.at for sample in window.samples] == sorted(
        row.at for row in recording.samples if start <= row.at < end
    )
    assert {span.index for span in window.faults} == {
        row.index
        for row in rows
        if isinstance(row, FaultSpan) and row.on < end and (row.off is None or row.off > start)
    }


@given(fill(), st.randoms())
def test_requests_are_kept_in_the_same_order_however_they_arrive(rows: list[Any], random: Any) -> None:
    asked = [row for row in rows if isinstance(row, Request)]
    shuffled = random.sample(asked, len(asked))
    one, other = Recording(), Recording()
    for row in asked:
        record(one, row)
    for row in shuffled:
        record(other, row)
    assert contents(one) == contents(other)


@given(fill(), MOMENTS, st.floats(0.1, 10), st.lists(MOMENTS, max_size=5))
def test_a_live_window_holds_what_finished_in_it_and_what_has_waited_too_long(
    rows: list[Any], now: float, over: float, unanswered: list[float]
) -> None:
    recording = Recording()
    asked = [row for row in rows if isinstance(row, Request)]
    for row in asked:
        record(recording, row)
    for number, due in enumerate(unanswered, start=1000):
        recording.request_started(number, due)
    live = recording.live_window(now, over)
    finished = {row.id for row in asked if row.done is not None and now - over <= row.done < now}
    waiting = {number for number, due in enumerate(unanswered, start=1000) if now - due > over}
    assert {row.id for row in live.requests if row.outcome != "pending"} == finished
    assert {row.id for row in live.requests if row.outcome == "pending"} == waiting
    assert list(live.requests) == sorted(live.requests, key=lambda row: (row.intended, row.id))


def test_a_request_is_no_longer_pending_once_it_is_added() -> None:
    recording = Recording()
    recording.request_started(1, 0.0)
    assert [row.outcome for row in recording.live_window(10.0, 5.0).requests] == ["pending"]
    recording.add_request(request(1, 0.0, total=9.0))
    assert [row.outcome for row in recording.live_window(10.0, 5.0).requests] == ["ok"]


def test_patience_with_unanswered_requests_can_be_longer_than_the_window() -> None:
    recording = Recording()
    recording.request_started(1, 0.0)
    assert recording.live_window(3.0, 1.0, pending_after=5.0).requests == ()
    assert len(recording.live_window(6.0, 1.0, pending_after=5.0).requests) == 1


def test_unanswered_requests_are_in_no_window_that_is_judged_afterwards() -> None:
    recording = Recording()
    recording.request_started(1, 1.0)
    assert recording.window("during", 0.0, 10.0).requests == ()


def test_a_stream_that_is_heard_of_is_not_missing_however_long_it_takes() -> None:
    recording = Recording()
    recording.request_started(1, 0.0)
    recording.request_heard(1, 7.0)
    assert recording.live_window(9.0, 1.0, pending_after=5.0).requests == ()
    assert len(recording.live_window(13.0, 1.0, pending_after=5.0).requests) == 1


def test_a_copy_as_of_now_has_the_overdue_requests_in_its_windows() -> None:
    recording = Recording()
    recording.request_started(1, 1.0)
    recording.request_started(2, 9.0)
    recording.add_request(request(3, 2.0, total=1.0))

    copy = recording.as_of(10.0, patience=5.0)

    assert [(row.id, row.outcome) for row in copy.window("x", 0.0, 10.0).requests] == [(1, "pending"), (3, "ok")]
    assert [row.id for row in recording.requests] == [3]


def test_a_window_that_ends_before_it_starts_is_refused() -> None:
    with pytest.raises(ValueError, match="before it starts"):
        Recording().window("during", 2.0, 1.0)


def test_healing_again_changes_nothing() -> None:
    recording = Recording()
    proof = Proof(works=True, summary="12 kB swallowed")
    recording.fault_on(0, "partition", "partition a → b", 1.0)
    recording.fault_off(0, 2.0, proof)
    recording.fault_off(0, 3.0, None)
    assert recording.faults == (FaultSpan(0, "partition", "partition a → b", 1.0, 2.0, proof),)


def test_a_fault_cannot_be_on_twice_nor_off_before_it_was_on() -> None:
    recording = Recording()
    with pytest.raises(ValueError, match="never on"):
        recording.fault_off(0, 1.0)
    recording.fault_on(0, "partition", "partition", 1.0)
    with pytest.raises(ValueError, match="on before"):
        recording.fault_on(0, "partition", "partition", 2.0)


def test_a_sink_is_told_every_row_as_it_is_recorded() -> None:
    class Heard(list[Row]):
        def write(self, row: Row) -> None:
            self.append(row)

    sink = Heard()
    recording = Recording(sink)
    asked = request(1)
    recording.add_request(asked)
    recording.fault_on(0, "partition", "partition", 1.0)
    recording.fault_off(0, 2.0)
    assert sink == [
        asked,
        FaultSpan(0, "partition", "partition", 1.0),
        FaultSpan(0, "partition", "partition", 1.0, 2.0),
    ]


@given(fill())
def test_the_latest_moment_is_that_of_the_last_row(rows: list[Any]) -> None:
    recording = Recording()
    for row in rows:
        record(recording, row)
    moments = [0.0]
    for row in rows:
        match row:
            case Request():
                moments.append(row.done or 0.0)
            case FaultSpan():
                moments.append(row.on if row.off is None else row.off)
            case Write():
                moments.append(row.done)
            case KnownDocument() | KnownQuestion():
                continue
            case _:
                moments.append(row.at)
    assert recording.latest == max(moments)


def test_a_breakers_state_at_the_start_counts_what_happened_at_that_very_moment() -> None:
    recording = Recording()
    for old, new in ((None, "closed"), ("closed", "open"), ("open", "closed")):
        recording.add_transition(Transition(0.0, "vector-db", old, new))
    before = recording.window("steady-state before", 0.0, 10.0)
    assert before.state_at_start("vector-db") == "closed"
    assert before.transitions("vector-db") == []


def test_a_window_knows_of_every_document_that_was_written_up_to_its_end() -> None:
    recording = Recording()
    for number, intended in enumerate((1.0, 2.0, 3.0), start=1):
        recording.add_write(Write(number, f"d-{number}", "acme", intended, intended, intended + 0.5, "acknowledged"))
    assert [write.number for write in recording.window("during", 2.0, 3.0).writes] == [1, 2]
    assert recording.live_window(3.0, 1.0).writes == ()
    assert [write.number for write in recording.as_of(3.0, patience=5.0).writes] == [1, 2, 3]


def test_a_window_of_evenly_spread_requests_ends_before_its_end() -> None:
    recording = Recording()
    for each in evenly(10):
        recording.add_request(each)
    assert [row.id for row in recording.window("during", 2.0, 5.0).requests] == [2, 3, 4]
