"""Recorded rows as rows of the file, and back."""

import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import fields
from typing import Any, get_args

from brownout.evidence.model import Event, FaultSpan, Outcome, Proof, Request, Sample, Transition
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
_FAULT = ("step", "fault", "title", "on_at", "off_at", "works", "proof", "figures")
_VERDICT = ("block", "probe", "title", *(field.name for field in fields(Verdict)))


def _plain(columns: Sequence[str]) -> Callable[[Any], Values]:
    return lambda row: [dump(getattr(row, column)) for column in columns]


def _sample(row: Sample) -> Values:
    return (row.at, row.source, row.metric, dump(dict(row.labels)), row.value)


def _fault(row: FaultSpan) -> Values:
    proof = row.proof
    told = (None, None, None) if proof is None else (int(proof.works), proof.summary, dump(proof.figures))
    return (row.index, row.fault, row.title, row.on, row.off, *told)


INSERTS: Mapping[type[Row], tuple[str, Callable[[Any], Values]]] = {
    Request: (_insert("request", _REQUEST), _plain(_REQUEST)),
    Transition: (_insert("transition", _TRANSITION), _plain(_TRANSITION)),
    Sample: (_insert("sample", _SAMPLE), _sample),
    Event: (_insert("event", _EVENT), _plain(_EVENT)),
    # A fault is told twice, on and off; the second time replaces the first.
    FaultSpan: (_insert("fault", _FAULT, verb="INSERT OR REPLACE"), _fault),
}
"""How each kind of row is written: the statement, and the values for it."""
INSERT_VERDICT = _insert("verdict", _VERDICT)
INSERT_RUN = _insert("run", ("key", "value"), verb="INSERT OR REPLACE")


def verdict_values(block: str, probe: str, title: str, verdict: Verdict) -> Values:
    """One row of the table `verdict`."""
    return (block, probe, title, *(getattr(verdict, column) for column in _VERDICT[3:]))


def select(table: str) -> str:
    """The statement that reads a table in the order in which it was written."""
    columns = {"request": _REQUEST, "transition": _TRANSITION, "sample": _SAMPLE, "event": _EVENT, "fault": _FAULT}
    names = ", ".join(f'"{column}"' for column in columns.get(table, _VERDICT))
    return f'SELECT {names} FROM "{table}" ORDER BY rowid'  # noqa: S608 - names of our own


def read_rows(recording: Recording, rows: Callable[[str], Iterable[Sequence[Any]]]) -> None:
    """Fill an empty recording; `rows` yields those of a table.

    Raises:
        ValueError, TypeError: a row is none of ours.
    """
    for values in rows("request"):
        recording.add_request(_read_request(dict(zip(_REQUEST, values, strict=True))))
    for values in rows("transition"):
        recording.add_transition(Transition(*values))
    for at, source, metric, labels, value in rows("sample"):
        pairs = tuple(json.loads(labels).items())
        recording.add_sample(Sample(at, source, metric, pairs, math.nan if value is None else value))
    for at, kind, text, detail in rows("event"):
        recording.add_event(Event(at, kind, text, json.loads(detail)))
    for step, fault, title, on, off, works, summary, figures in rows("fault"):
        proof = None if works is None else Proof(bool(works), summary, json.loads(figures))
        recording.add_fault(FaultSpan(step, fault, title, on, off, proof))


def _read_request(row: dict[str, Any]) -> Request:
    if row["outcome"] not in get_args(Outcome):
        msg = f"request {row['id']} ended in an unknown way"
        raise ValueError(msg)
    row["stream"] = bool(row["stream"])
    row["cache_used"] = None if row["cache_used"] is None else bool(row["cache_used"])
    row["warnings"] = tuple(json.loads(row["warnings"]))
    row["citations"] = tuple(json.loads(row["citations"]))
    row["attempts"] = json.loads(row["attempts"])
    return Request(**row)
