"""The journal of drills: who started what, what became of it, who overrode which rule and why, what is left to do.

One SQLite file beside the ledger, for all plans of this user. Every change is on the disk when the call returns.
"""

import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any, Self

from brownout.book import Book
from brownout.errors import InvalidInput
from brownout.gameday.governance import Override, PastDrill, Refusal
from brownout.gameday.rows import Drill, FollowUp, NewDrill, Outcome, OverrideRow, State, StepRow
from brownout.process import ProcessId

IsAlive = Callable[[ProcessId], bool]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS drills (
    id TEXT PRIMARY KEY,
    plan TEXT NOT NULL,             -- the plan file's name without its ending
    title TEXT NOT NULL,
    source TEXT NOT NULL,           -- the plan as it was
    target TEXT NOT NULL,
    instance TEXT NOT NULL,
    folder TEXT NOT NULL,
    commander TEXT,
    abort_holder TEXT,
    pid INTEGER NOT NULL,
    process_started TEXT NOT NULL,
    review_within REAL NOT NULL,    -- seconds after the end
    scheduled REAL,                 -- this and every other moment: Unix time, seconds
    started REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    said TEXT,                      -- why it ended so, where there is more to say
    looked REAL, looked_by TEXT,    -- after an interruption
    reviewed REAL, reviewed_by TEXT
) STRICT;
CREATE TABLE IF NOT EXISTS steps (
    drill TEXT NOT NULL REFERENCES drills (id),
    number INTEGER NOT NULL,
    phase TEXT NOT NULL,
    experiment TEXT NOT NULL,
    started REAL NOT NULL,
    ended REAL,
    outcome TEXT,
    folder TEXT,
    PRIMARY KEY (drill, number)
) STRICT;
CREATE TABLE IF NOT EXISTS overrides (
    drill TEXT NOT NULL REFERENCES drills (id),
    rule TEXT NOT NULL,
    refusal TEXT NOT NULL,
    by TEXT NOT NULL,
    why TEXT NOT NULL,
    at REAL NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS check_ins (plan TEXT NOT NULL, who TEXT NOT NULL, at REAL NOT NULL) STRICT;
CREATE TABLE IF NOT EXISTS follow_ups (
    id INTEGER PRIMARY KEY,
    drill TEXT NOT NULL REFERENCES drills (id),
    what TEXT NOT NULL,
    owner TEXT NOT NULL,
    due TEXT,                       -- a date, as ISO 8601 writes it
    opened REAL NOT NULL,
    closed REAL,
    closed_by TEXT
) STRICT;
"""


class Journal(Book):
    """One for all drills of this user."""

    file = "gamedays.sqlite"
    called = "the journal of game days"
    schema = _SCHEMA

    def __init__(self, connection: sqlite3.Connection, *, alive: IsAlive) -> None:
        super().__init__(connection)
        self._alive = alive

    @classmethod
    def open(cls, *, alive: IsAlive = ProcessId.alive) -> Self:
        """The journal of this user, made on first use; close it after use.

        Args:
            alive: whether a process still runs: a drill whose process does not, and that never ended, was interrupted.

        Raises:
            EnvironmentProblem: it cannot be made, read or written.
        """
        return cls(cls._connected(), alive=alive)

    # -- before a drill --------------------------------------------------------------------------------------------

    def check_in(self, plan: str, who: str, at: datetime) -> None:
        """Somebody is at hand for this plan's next drill."""
        self._write("INSERT INTO check_ins (plan, who, at) VALUES (?, ?, ?)", plan, who, at.timestamp())

    def checked_in(self, plan: str) -> Mapping[str, datetime]:
        """Everybody who ever was, and when last."""
        rows = self._read("SELECT who, max(at) FROM check_ins WHERE plan = ? GROUP BY who", plan)
        return {who: _moment(at) for who, at in rows}

    def past(self, *, plan: str, target: str, instance: str) -> Sequence[PastDrill]:
        """What the rules have to know of earlier drills of this plan, and of any on this instance of this target."""
        found = [(one, (one.target, one.instance) == (target, instance)) for one in self.drills()]
        return [
            PastDrill(
                one.id,
                one.plan,
                one.state,
                scheduled=one.scheduled,
                review_due=one.review_due if one.reviewed is None else None,
                here=here,
            )
            for one, here in found
            if here or one.plan == plan
        ]

    # -- during a drill --------------------------------------------------------------------------------------------

    def begin(self, drill: NewDrill, overridden: Sequence[tuple[Refusal, Override]]) -> None:
        """Write down a drill and what was overridden for it, all or nothing."""
        with self._transaction():
            self._write(
                "INSERT INTO drills (id, plan, title, source, target, instance, folder, commander, abort_holder,"
                " pid, process_started, review_within, scheduled, started)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                drill.id,
                drill.plan,
                drill.title,
                drill.source,
                drill.target,
                drill.instance,
                drill.folder,
                drill.commander,
                drill.abort_holder,
                drill.process.pid,
                drill.process.started,
                drill.review_within,
                None if drill.scheduled is None else drill.scheduled.timestamp(),
                drill.started.timestamp(),
            )
            for refusal, override in overridden:
                self._write(
                    "INSERT INTO overrides (drill, rule, refusal, by, why, at) VALUES (?, ?, ?, ?, ?, ?)",
                    drill.id,
                    refusal.rule,
                    refusal.why,
                    override.by,
                    override.why,
                    drill.started.timestamp(),
                )

    def begin_step(self, drill: str, number: int, *, phase: str, experiment: str, at: datetime) -> None:
        """An experiment is about to start."""
        self._write(
            "INSERT INTO steps (drill, number, phase, experiment, started) VALUES (?, ?, ?, ?, ?)",
            *(drill, number, phase, experiment, at.timestamp()),
        )

    def end_step(self, drill: str, number: int, *, outcome: Outcome, folder: str | None, at: datetime) -> None:
        """It has ended; `folder` is the run's, where it left one."""
        self._write(
            "UPDATE steps SET ended = ?, outcome = ?, folder = ? WHERE drill = ? AND number = ?",
            *(at.timestamp(), outcome, folder, drill, number),
        )

    def end(self, drill: str, *, outcome: Outcome, said: str | None, at: datetime) -> None:
        """The drill has ended, however it did."""
        self._write(
            "UPDATE drills SET ended = ?, outcome = ?, said = ? WHERE id = ?", at.timestamp(), outcome, said, drill
        )

    # -- after a drill ---------------------------------------------------------------------------------------------

    def look(self, drill: str, *, by: str, at: datetime) -> None:
        """Somebody has looked at what an interrupted drill left behind; it is over.

        Raises:
            InvalidInput: there is no such drill, or it was not interrupted.
        """
        if (state := self.drill(drill).state) != "interrupted":
            msg = f"drill {drill} was not interrupted: it is {state}"
            raise InvalidInput(msg)
        self._write(
            "UPDATE drills SET ended = ?, looked = ?, looked_by = ?, outcome = 'aborted', said = 'interrupted'"
            " WHERE id = ?",
            *(at.timestamp(), at.timestamp(), by, drill),
        )

    def review(self, drill: str, *, by: str, at: datetime) -> None:
        """The drill has been reviewed.

        Raises:
            InvalidInput: there is no such drill, or it is not over yet.
        """
        if (state := self.drill(drill).state) != "over":
            msg = f"drill {drill} cannot have been reviewed: it is {state}"
            raise InvalidInput(msg)
        self._write("UPDATE drills SET reviewed = ?, reviewed_by = ? WHERE id = ?", at.timestamp(), by, drill)

    def follow_up(self, drill: str, what: str, *, owner: str, due: date | None, at: datetime) -> int:
        """Something is to be done, by somebody; returns its number.

        Raises:
            InvalidInput: there is no such drill.
        """
        self.drill(drill)
        rows = self._read(
            "INSERT INTO follow_ups (drill, what, owner, due, opened) VALUES (?, ?, ?, ?, ?) RETURNING id",
            *(drill, what, owner, None if due is None else due.isoformat(), at.timestamp()),
        )
        return int(rows[0][0])

    def close_follow_up(self, number: int, *, drill: str, by: str, at: datetime) -> None:
        """It is done.

        Raises:
            InvalidInput: there is none of this number that is still open.
        """
        still = [one.id for one in self.follow_ups(drill=drill) if one.closed is None]
        if number not in still:
            msg = f"drill {drill} has no open follow-up {number}"
            raise InvalidInput(msg, value=number, allowed=[str(one) for one in still])
        self._write("UPDATE follow_ups SET closed = ?, closed_by = ? WHERE id = ?", at.timestamp(), by, number)

    # -- reading ---------------------------------------------------------------------------------------------------

    def drills(self) -> Sequence[Drill]:
        """All of them, the oldest first."""
        rows = self._read(
            "SELECT id, plan, title, target, instance, folder, commander, abort_holder, pid, process_started,"
            " review_within, scheduled, started, ended, outcome, said, looked_by, reviewed, reviewed_by FROM drills"
            " ORDER BY started, rowid"
        )
        return [self._drill(row) for row in rows]

    def drill(self, name: str) -> Drill:
        """One of them.

        Raises:
            InvalidInput: there is none of that name.
        """
        known = {one.id: one for one in self.drills()}
        if name not in known:
            msg = f"unknown drill {name!r}" if known else f"unknown drill {name!r}: there has been none yet"
            raise InvalidInput(msg, value=name, allowed=[*reversed(known)])
        return known[name]

    def source(self, drill: str) -> str:
        """The plan of a drill, as it was when it started.

        Raises:
            InvalidInput: there is no such drill.
        """
        self.drill(drill)
        return str(self._read("SELECT source FROM drills WHERE id = ?", drill)[0][0])

    def steps(self, drill: str) -> Sequence[StepRow]:
        """The experiments of a drill, in order."""
        rows = self._read(
            "SELECT number, phase, experiment, started, ended, outcome, folder FROM steps WHERE drill = ?"
            " ORDER BY number",
            drill,
        )
        return [
            StepRow(number, phase, experiment, _moment(started), _perhaps(ended), outcome, folder)
            for number, phase, experiment, started, ended, outcome, folder in rows
        ]

    def overrides(self, drill: str) -> Sequence[OverrideRow]:
        """What was overridden for a drill."""
        rows = self._read("SELECT rule, refusal, by, why, at FROM overrides WHERE drill = ? ORDER BY rowid", drill)
        return [OverrideRow(rule, refusal, by, why, _moment(at)) for rule, refusal, by, why, at in rows]

    def follow_ups(self, *, drill: str | None = None) -> Sequence[FollowUp]:
        """Those of one drill, or all of them."""
        rows = self._read(
            "SELECT id, drill, what, owner, due, closed FROM follow_ups WHERE ? IS NULL OR drill = ? ORDER BY id",
            *(drill, drill),
        )
        return [
            FollowUp(number, of, what, owner, None if due is None else date.fromisoformat(due), _perhaps(closed))
            for number, of, what, owner, due, closed in rows
        ]

    def _drill(self, row: Sequence[Any]) -> Drill:
        name, plan, title, target, instance, folder, commander, abort_holder, pid, process_started, *rest = row
        review_within, scheduled, started, ended, outcome, said, looked_by, reviewed, reviewed_by = rest
        state: State = "over"
        if ended is None:
            state = "running" if self._alive(ProcessId(pid, process_started)) else "interrupted"
        return Drill(
            name,
            plan,
            title,
            target,
            instance,
            folder,
            commander,
            abort_holder,
            state,
            _perhaps(scheduled),
            _moment(started),
            _perhaps(ended),
            outcome,
            said,
            looked_by,
            _perhaps(reviewed),
            reviewed_by,
            None if ended is None else _moment(ended) + timedelta(seconds=review_within),
        )

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        with self._said():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)


def _perhaps(at: float | None) -> datetime | None:
    return None if at is None else _moment(at)
