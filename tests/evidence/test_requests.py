"""Requests as rows and as columns: the same, whatever was chosen from whatever."""

import math
from collections.abc import Sequence
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.evidence import Recording, Request, Requests, Transition, derived
from brownout.evidence.requests import Column
from tests.evidence.making import evenly, fill, record, request, requests

ROWS = st.integers(0, 12).flatmap(lambda count: st.tuples(*(requests(n) for n in range(count)))).map(list)


def same(column: Sequence[Any], values: list[Any]) -> bool:
    plain = [None if isinstance(one, float) and math.isnan(one) else one for one in column]
    return plain == values


@given(ROWS)
def test_every_field_of_the_rows_is_a_column(rows: list[Request]) -> None:
    table = Requests.of(rows)
    assert list(table) == rows
    for field in fields(Request):
        assert same(getattr(table, field.name), [getattr(row, field.name) for row in rows])


def test_every_field_has_its_column_by_name() -> None:
    assert {name for name, one in vars(Requests).items() if isinstance(one, Column)} == {
        field.name for field in fields(Request)
    }


@given(ROWS, st.data())
def test_what_is_chosen_of_what_was_chosen_is_what_a_list_would_give(rows: list[Request], data: st.DataObject) -> None:
    table, plain = Requests.of(rows), rows
    for _ in range(3):
        flags = data.draw(st.lists(st.booleans(), min_size=len(plain), max_size=len(plain)))
        table, plain = table.where(flags), [row for row, flag in zip(plain, flags, strict=True) if flag]
        assert list(table) == plain
        assert same(table.cost, [row.cost for row in plain])
        cut = data.draw(st.slices(len(plain)))
        table, plain = table[cut], plain[cut]
        assert list(table) == plain
        assert same(table.first_token, [row.first_token for row in plain])
        assert [table[n] for n in range(-len(plain), len(plain))] == [*plain, *plain]


def test_a_row_that_is_not_there_is_no_row() -> None:
    with pytest.raises(IndexError):
        Requests.of([request()])[1]


def test_requests_equal_the_same_rows_in_any_sequence() -> None:
    rows = evenly(3)
    assert Requests.of(rows) == tuple(rows) == Requests.of(rows)
    assert Requests.of(rows) != rows[:2]
    assert Requests.of(rows) != "abc"


@given(fill())
def test_a_window_stays_as_it_is_whatever_is_recorded_after_it(rows: list[Any]) -> None:
    recording = Recording()
    half = len(rows) // 2
    for row in rows[:half]:
        record(recording, row)
    window, live = recording.window("during", 0.0, 40.0), recording.live_window(20.0, 10.0)
    before = (list(window.requests), window.requests.intended, list(live.requests))
    for row in rows[half:]:
        record(recording, row)
    assert (list(window.requests), window.requests.intended, list(live.requests)) == before


def test_values_that_rows_share_are_kept_once() -> None:
    table = Requests.of(request(n, attempts={"cache": 1}, warnings=("old",)) for n in range(9))
    assert len({id(one) for one in table.attempts}) == 1
    assert len({id(one) for one in table.warnings}) == 1


def test_what_is_derived_is_made_once_for_each_question() -> None:
    asked = []

    @derived
    def longer_than(given: Requests, limit: float) -> int:
        asked.append(limit)
        return sum((row.total or 0) > limit for row in given)

    table = Requests.of(evenly(5))
    assert [longer_than(table, 0.1), longer_than(table, 0.1), longer_than(table, 9.0)] == [5, 5, 0]
    assert asked == [0.1, 9.0]
    assert longer_than(Requests.of(evenly(3)), 0.1) == 3


def test_a_live_window_remembers_the_last_state_of_every_breaker_and_no_more() -> None:
    recording = Recording()
    recording.add_transition(Transition(0.0, "cache", None, "closed"))
    for n in range(1000):
        recording.add_transition(Transition(n / 10, "vector-db", "closed", "open"))
        recording.add_transition(Transition(n / 10 + 0.05, "vector-db", "open", "closed"))
    live = recording.live_window(100.0, 5.0)
    assert live.state_at_start("cache") == "closed"
    assert len(live.history) < 110
    assert live.transitions("vector-db") == recording.window("x", 95.0, 100.0).transitions("vector-db")
