"""The minutes of drills: what people decided, what was detected and mitigated by whom, which starts were refused.

Kept in the journal's file. The journal says what the drill did; the minutes what people and alerts made of it.
"""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Self

from brownout.book import Book
from brownout.gameday.governance import Refusal
from brownout.gameday.rows import Mark, Note, RefusedStart

_SCHEMA = """
CREATE TABLE IF NOT EXISTS notes (
    drill TEXT NOT NULL,
    at REAL NOT NULL,               -- this and every other moment: Unix time, seconds
    by TEXT NOT NULL,
    what TEXT NOT NULL
) STRICT;
CREATE TABLE IF NOT EXISTS marks (
    drill TEXT NOT NULL,
    step INTEGER NOT NULL,
    kind TEXT NOT NULL,             -- detected, mitigated
    source TEXT NOT NULL,           -- alert, person
    by TEXT NOT NULL,               -- the alert's name or the person's
    at REAL NOT NULL,
    since REAL                      -- of an alert: since when it fires, by its own account
) STRICT;
CREATE TABLE IF NOT EXISTS refused_starts (
    plan TEXT NOT NULL,
    target TEXT NOT NULL,
    instance TEXT NOT NULL,
    at REAL NOT NULL,
    rule TEXT NOT NULL,
    why TEXT NOT NULL
) STRICT;
"""


class Minutes(Book):
    """One for all drills of this user."""

    file = "gamedays.sqlite"
    called = "the journal of game days"
    schema = _SCHEMA

    @classmethod
    def open(cls) -> Self:
        """Those of this user, made on first use; close them after use.

        Raises:
            EnvironmentProblem: they cannot be made, read or written.
        """
        return cls(cls._connected())

    def note(self, drill: str, what: str, *, by: str, at: datetime) -> None:
        """Somebody said or decided something."""
        self._write("INSERT INTO notes (drill, at, by, what) VALUES (?, ?, ?, ?)", drill, at.timestamp(), by, what)

    def notes(self, drill: str) -> Sequence[Note]:
        """Of one drill, the earliest first."""
        rows = self._read("SELECT at, by, what FROM notes WHERE drill = ? ORDER BY at, rowid", drill)
        return [Note(_moment(at), by, what) for at, by, what in rows]

    def mark(self, drill: str, mark: Mark) -> None:
        """A failure was detected, or mitigated."""
        self._write(
            "INSERT INTO marks (drill, step, kind, source, by, at, since) VALUES (?, ?, ?, ?, ?, ?, ?)",
            *(drill, mark.step, mark.kind, mark.source, mark.by, mark.at.timestamp()),
            None if mark.since is None else mark.since.timestamp(),
        )

    def marks(self, drill: str) -> Sequence[Mark]:
        """Of one drill, the earliest first; several of a kind for one step where several noticed."""
        rows = self._read(
            "SELECT step, kind, source, by, at, since FROM marks WHERE drill = ? ORDER BY at, rowid", drill
        )
        return [
            Mark(step, kind, source, by, _moment(at), None if since is None else _moment(since))
            for step, kind, source, by, at, since in rows
        ]

    def refuse(self, plan: str, *, target: str, instance: str, refusals: Sequence[Refusal], at: datetime) -> None:
        """A start was asked for, and the rules did not permit it."""
        for one in refusals:
            self._write(
                "INSERT INTO refused_starts (plan, target, instance, at, rule, why) VALUES (?, ?, ?, ?, ?, ?)",
                *(plan, target, instance, at.timestamp(), one.rule, one.why),
            )

    def refused(self, *, plan: str | None = None) -> Sequence[RefusedStart]:
        """Of one plan, or of all; the earliest first, one for each reason."""
        rows = self._read(
            "SELECT plan, target, instance, at, rule, why FROM refused_starts WHERE ? IS NULL OR plan = ?"
            " ORDER BY at, rowid",
            *(plan, plan),
        )
        return [
            RefusedStart(of, target, instance, _moment(at), rule, why) for of, target, instance, at, rule, why in rows
        ]


def _moment(at: float) -> datetime:
    return datetime.fromtimestamp(at, UTC)
