"""Recorded rows as rows of the file, and back."""

import functools
import json
import math
import sqlite3
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

from brownout.evidence.model import (
    Event,
    FaultSpan,
    KnownDocument,
    KnownQuestion,
    Outcome,
    Proof,
    Request,
    Sample,
    Transition,
    Write,
    WriteOutcome,
)
from brownout.evidence.recording import Recording, Row
from brownout.probe import Verdict

Values = Sequence[object]


def dump(value: object) -> object:
    """A value as SQLite takes it: lists and mappings as JSON, truth values as 0 and 1."""
    if isinstance(value, Mapping):
        return json.dumps(dict(value), ensure_ascii=False)
    if isinstance(value, tuple | list):
        return json.dumps(list(value), ensure_ascii=False)
    return int(value) if isinstance(value, bool) else value


def _insert(table: str, columns: Sequence[str], *, verb: str = "INSERT") -> str:
    names = ", ".join(f'"{column}"' for column in columns)
    return f'{verb} INTO "{table}" ({names}) VALUES ({", ".join("?" * len(columns))})'


_REQUEST = tuple(field.name for field in fields(Request))
_TRANSITION = tuple(field.name for field in fields(Transition))
_SAMPLE = tuple(field.name for field in fields(Sample))
_EVENT = tuple(field.name for field in fields(Event))
_DOCUMENT = tuple(field.name for field in fields(KnownDocument))
_QUESTION = tuple(field.name for field in fields(KnownQuestion))
_WRITE = tuple(field.name for field in fields(Write))
_FAULT = ("step", "fault", "title", "on_at", "off_at", "works", "proof", "figures")
_VERDICT = ("block", "probe", "title", *(field.name for field in fields(Verdict)))


def _plain(columns: Sequence[str]) -> Callable[[Any], Values]:
    return lambda row: [dump(getattr(row, column)) for column in columns]


def _sample(row: Sample) -> Values:
    return (row.at, row.source, row.metric, dump(dict(row.labels)), row.value)


def _figures_out(figures: Mapping[str, float]) -> object:
    # JSON has no other numbers.
    return dump({name: value if math.isfinite(value) else None for name, value in figures.items()})


def _figures_in(text: str) -> Mapping[str, float]:
    figures = json.loads(text)
    if not all(value is None or type(value) in (int, float) for value in figures.values()):
        msg = "a fault's figure is no number"
        raise ValueError(msg)
    return {name: math.nan if value is None else value for name, value in figures.items()}


def _event(row: Event) -> Values:
    # The last column has been part of the format from the beginning, and there was never anything to put into it.
    return (row.at, row.kind, row.text, "{}")


def _fault(row: FaultSpan) -> Values:
    proof = row.proof
    told = (None, None, None) if proof is None else (int(proof.works), proof.summary, _figures_out(proof.figures))
    return (row.index, row.fault, row.title, row.on, row.off, *told)


INSERTS: Mapping[type[Row], tuple[str, Callable[[Any], Values]]] = {
    Request: (_insert("request", _REQUEST), _plain(_REQUEST)),
    Transition: (_insert("transition", _TRANSITION), _plain(_TRANSITION)),
    Sample: (_insert("sample", _SAMPLE), _sample),
    Event: (_insert("event", (*_EVENT, "detail")), _event),
    KnownDocument: (_insert("document", _DOCUMENT), _plain(_DOCUMENT)),
    KnownQuestion: (_insert("question", _QUESTION), _plain(_QUESTION)),
    # These two are told twice, a fault on and off, a write acknowledged and counted: the second replaces the first.
    Write: (_insert("write", _WRITE, verb="INSERT OR REPLACE"), _plain(_WRITE)),
    FaultSpan: (_insert("fault", _FAULT, verb="INSERT OR REPLACE"), _fault),
}
"""How each kind of row is written: the statement, and the values for it."""
INSERT_VERDICT = _insert("verdict", _VERDICT)
INSERT_RUN = _insert("run", ("key", "value"), verb="INSERT OR REPLACE")


def verdict_values(block: str, probe: str, title: str, verdict: Verdict) -> Values:
    """One row of the table `verdict`."""
    return (block, probe, title, *(getattr(verdict, column) for column in _VERDICT[3:]))


_COLUMNS: Mapping[str, Sequence[str]] = {
    "request": _REQUEST,
    "transition": _TRANSITION,
    "sample": _SAMPLE,
    "event": _EVENT,
    "fault": _FAULT,
    "document": _DOCUMENT,
    "question": _QUESTION,
    "write": _WRITE,
    "verdict": _VERDICT,
}


_LATER = frozenset(("document", "question", "write"))
"""Tables that the first files of this schema's version did not have."""


def select(file: sqlite3.Connection, table: str) -> Iterable[Sequence[Any]]:
    """The rows of a table in the order in which they were written. What an older file lacks of it is NULL."""
    has = {name for _, name, *_ in file.execute(f'PRAGMA table_info("{table}")')}
    if not has and table in _LATER:
        return ()
    names = ", ".join(f'"{column}"' if column in has else "NULL" for column in _COLUMNS[table])
    return file.execute(f'SELECT {names} FROM "{table}" ORDER BY rowid')  # noqa: S608 - names of our own


def read_rows(recording: Recording, file: sqlite3.Connection) -> None:
    """Fill an empty recording from a file.

    Raises:
        ValueError, TypeError: a row is none of ours.
    """
    # Most requests share what these say with many others, and parsing JSON is most of the work.
    texts = functools.cache(lambda text: tuple(json.loads(text)))
    counts = functools.cache(json.loads)
    for values in select(file, "request"):
        recording.add_request(_read_request(dict(zip(_REQUEST, values, strict=True)), texts, counts))
    for values in select(file, "transition"):
        recording.add_transition(Transition(*values))
    pairs = functools.cache(lambda text: tuple(json.loads(text).items()))
    for at, source, metric, labels, value in select(file, "sample"):
        recording.add_sample(Sample(at, source, metric, pairs(labels), math.nan if value is None else value))
    for values in select(file, "event"):
        recording.add_event(Event(*values))
    for step, fault, title, on, off, works, summary, figures in select(file, "fault"):
        proof = None if works is None else Proof(bool(works), summary, _figures_in(figures))
        recording.add_fault(FaultSpan(step, fault, title, on, off, proof))
    documents = [KnownDocument(*values) for values in select(file, "document")]
    questions = [KnownQuestion(id_, tenant, texts(sources)) for id_, tenant, sources in select(file, "question")]
    recording.know(documents, questions)
    for values in select(file, "write"):
        recording.add_write(_read_write(Write(*values)))


_OUTCOMES = frozenset(get_args(Outcome))
_WRITE_OUTCOMES = frozenset(get_args(WriteOutcome))


def _read_write(write: Write) -> Write:
    if write.outcome not in _WRITE_OUTCOMES:
        msg = f"write {write.number} ended in an unknown way"
        raise ValueError(msg)
    return write


def _read_request(
    row: dict[str, Any], texts: Callable[[str], tuple[str, ...]], counts: Callable[[str], Mapping[str, int]]
) -> Request:
    if row["outcome"] not in _OUTCOMES:
        msg = f"request {row['id']} ended in an unknown way"
        raise ValueError(msg)
    row["stream"] = bool(row["stream"])
    row["cache_used"] = None if row["cache_used"] is None else bool(row["cache_used"])
    row["warnings"] = texts(row["warnings"])
    row["citations"] = texts(row["citations"])
    row["attempts"] = counts(row["attempts"])
    return Request(**row)
