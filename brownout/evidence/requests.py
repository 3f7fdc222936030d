"""Many requests: each as a row, and each field of all of them as a column.

Rows are pleasant and columns are fast: a row is made when it is asked for, while a column is one list of plain values.
A million requests take some 300 MB as columns and three times that as objects.
"""

import functools
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields
from itertools import compress
from typing import Any, Concatenate, Generic, ParamSpec, Self, TypeVar, cast, get_type_hints, overload

from brownout.evidence.model import Outcome, Request

T = TypeVar("T")
P = ParamSpec("P")
Positions = Sequence[int]
"""Which rows of a table, in order: a `range` where they lie side by side, which makes a column one slice."""

_NAMES = tuple(field.name for field in fields(Request))
_TYPES = get_type_hints(Request)
_FLOATS = frozenset(name for name in _NAMES if _TYPES[name] in (float, float | None))
_UNIQUE = frozenset(("id", "request_id"))
"""Fields of which no two rows share a value."""


class Table:
    """Columns to which rows are added, and from which none is ever taken away."""

    def __init__(self) -> None:
        self.columns: dict[str, Any] = {name: array("d") if name in _FLOATS else [] for name in _NAMES}
        self.columns["id"] = array("q")
        # One object for each value that rows share: a million answers name a handful of models.
        self._known: dict[str, dict[object, object]] = {name: {} for name in _NAMES if name not in _FLOATS | _UNIQUE}

    def __len__(self) -> int:
        return len(self.columns["id"])

    def add(self, request: Request) -> int:
        """Add a row; returns its position."""
        for name, column in self.columns.items():
            value = getattr(request, name)
            if name in _FLOATS:
                column.append(math.nan if value is None else value)
            elif name in _UNIQUE:
                column.append(value)
            else:
                # A mapping has no hash; its items, in their order, stand for it.
                key = tuple(value.items()) if name == "attempts" else value
                column.append(self._known[name].setdefault(key, value))
        return len(self) - 1

    def copy(self) -> "Table":
        """Another table of the same rows."""
        other = Table()
        other.columns = {name: column[:] for name, column in self.columns.items()}
        other._known = {name: dict(known) for name, known in self._known.items()}
        return other


class Column(Generic[T]):
    """One field of `Requests`: its values in the order of the rows, copied out whenever it is asked for."""

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    @overload
    def __get__(self, requests: None, owner: type) -> Self: ...

    @overload
    def __get__(self, requests: "Requests", owner: type) -> Sequence[T]: ...

    def __get__(self, requests: "Requests | None", owner: type) -> Self | Sequence[T]:
        return self if requests is None else cast("Sequence[T]", requests.column(self._name))


class Requests(Sequence[Request]):
    """Requests in the order in which they were meant to be sent. Immutable.

    `requests[0]` and a loop give rows; `requests.outcome` gives the outcome of each. In a column of floats NaN stands
    for what is None in a row.
    """

    id = Column[int]()
    intended = Column[float]()
    sent = Column[float]()
    first_token = Column[float]()
    done = Column[float]()
    outcome = Column[Outcome]()
    status = Column[int | None]()
    error = Column[str | None]()
    error_source = Column[str | None]()
    question = Column[str]()
    tenant = Column[str]()
    tier = Column[str]()
    policy = Column[str]()
    stream = Column[bool]()
    load = Column[str | None]()
    retry_after = Column[float]()
    request_id = Column[str | None]()
    model = Column[str | None]()
    provider = Column[str | None]()
    level = Column[int | None]()
    retrieval = Column[str | None]()
    retrieval_quality = Column[str | None]()
    cache_used = Column[bool | None]()
    cache_age = Column[float]()
    warnings = Column[tuple[str, ...]]()
    citations = Column[tuple[str, ...]]()
    claims = Column[int | None]()
    claims_supported = Column[int | None]()
    prompt_tokens = Column[int | None]()
    completion_tokens = Column[int | None]()
    tpot = Column[float]()
    cost = Column[float]()
    attempts = Column[Mapping[str, int]]()

    def __init__(self, table: Table, positions: Positions, *, chosen: "tuple[Requests, bytes] | None" = None) -> None:
        self._table = table
        self._positions = positions
        # Where these are many of some others: picking from a column by flags is far faster than by positions.
        self._chosen = chosen
        self._derived: dict[object, Any] = {}

    @classmethod
    def of(cls, rows: Iterable[Request] = ()) -> Self:
        """Those rows, in their order."""
        table = Table()
        for row in rows:
            table.add(row)
        return cls(table, range(len(table)))

    def column(self, name: str) -> Sequence[Any]:
        """The column of that name."""
        column, positions = self._table.columns[name], self._positions
        if isinstance(positions, range):
            return cast("Sequence[Any]", column[positions.start : positions.stop])
        if self._chosen is not None:
            others, flags = self._chosen
            return list(compress(others.column(name), flags))
        return [column[position] for position in positions]

    def where(self, flags: Iterable[bool]) -> "Requests":
        """Those whose flag is true."""
        chosen = bytes(flags)
        positions = array("I", compress(self._positions, chosen))
        return Requests(self._table, positions, chosen=(self, chosen) if 4 * len(positions) > len(self) else None)

    def __len__(self) -> int:
        return len(self._positions)

    @overload
    def __getitem__(self, index: int) -> Request: ...

    @overload
    def __getitem__(self, index: slice) -> "Requests": ...

    def __getitem__(self, index: int | slice) -> "Request | Requests":
        if isinstance(index, slice):
            chosen = self._positions[index]
            unbroken = not isinstance(chosen, range) or chosen.step == 1
            return Requests(self._table, chosen if unbroken else array("I", chosen))
        return next(iter(Requests(self._table, (self._positions[index],))))

    def __iter__(self) -> Iterator[Request]:
        return map(Request, *(_plain(name, self.column(name)) for name in _NAMES))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sequence) and len(self) == len(other) and all(map(_same, self, other))

    __hash__ = None  # type: ignore[assignment] # rows have none either: they hold mappings

    def __repr__(self) -> str:
        return f"<{len(self)} requests>"


def _same(one: object, other: object) -> bool:
    return one == other


def derived(make: Callable[Concatenate[Requests, P], T]) -> Callable[Concatenate[Requests, P], T]:
    """Keep what a function makes of requests with them: several probes ask the same of one window.

    Its other arguments are part of the question, so they must have a hash; what it returns must not be changed.
    """

    @functools.wraps(make)
    def kept(requests: Requests, *args: P.args, **kwargs: P.kwargs) -> T:
        key = (make, args, *kwargs.items())
        if key not in requests._derived:
            requests._derived[key] = make(requests, *args, **kwargs)
        return cast("T", requests._derived[key])

    return cast("Callable[Concatenate[Requests, P], T]", kept)


def _plain(name: str, column: Sequence[Any]) -> Sequence[Any]:
    """A column as rows have it: None for NaN."""
    return [None if math.isnan(value) else value for value in column] if name in _FLOATS else column
