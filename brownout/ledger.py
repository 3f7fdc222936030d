"""The ledger: what is about to be broken is written down first, so that it can be undone after any death of ours.

One SQLite file for all runs of this user. Every change is on the disk when the call returns (`synchronous=FULL`).
It holds no secrets: where one is needed to undo something, `recovery` names the private file that has it.
"""

import json
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Self

from brownout.book import Book
from brownout.breakage import Breakage, LinkPlace, Place, ServicePlace
from brownout.errors import EnvironmentProblem
from brownout.process import ProcessId

FaultState = Literal["intended", "on", "healed"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id TEXT PRIMARY KEY,
    pid INTEGER NOT NULL,
    process_started TEXT NOT NULL,  -- boot and tick: tells this process from a later one with the same pid
    target TEXT NOT NULL,           -- as registered under the entry point group brownout.targets
    recovery TEXT NOT NULL,         -- JSON, for the target's undo()
    folder TEXT NOT NULL,
    started REAL NOT NULL,          -- this and every other moment: Unix time, seconds
    ended REAL
) STRICT;
CREATE TABLE IF NOT EXISTS faults (
    lease TEXT PRIMARY KEY,
    run TEXT NOT NULL REFERENCES runs (id) ON DELETE CASCADE,
    place TEXT NOT NULL,            -- JSON: ["service", NAME] or ["link", SOURCE, DESTINATION]
    kind TEXT NOT NULL,
    parameters TEXT NOT NULL,       -- JSON
    state TEXT NOT NULL CHECK (state IN ('intended', 'on', 'healed')),
    intended REAL NOT NULL,
    injected REAL,
    healed REAL
) STRICT;
CREATE INDEX IF NOT EXISTS faults_by_run ON faults (run);
"""
_KEPT = 30 * 86400.0
"""Seconds for which a run that has ended is remembered."""


@dataclass(frozen=True, slots=True)
class RunRow:
    """A run, as another process needs to know it."""

    id: str
    process: ProcessId
    target: str
    recovery: Mapping[str, Any]
    folder: Path
    started: float
    """Unix time."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One breakage of a run."""

    lease: str
    run: str
    place: Place
    kind: str
    parameters: Mapping[str, Any]
    state: FaultState


class Ledger(Book):
    """One for all runs of this user."""

    file = "ledger.sqlite"
    called = "the ledger"
    schema = _SCHEMA

    @classmethod
    def open(cls) -> Self:
        """The ledger of this user, made on first use; close it after use.

        Raises:
            EnvironmentProblem: it cannot be made, read or written.
        """
        ledger = cls(cls._connected())
        try:
            ledger._write("DELETE FROM runs WHERE ended < ?", time.time() - _KEPT)
        except EnvironmentProblem:
            ledger.close()
            raise
        return ledger

    def begin(self, run: RunRow) -> None:
        """Write down a run. `recovery` may still be empty: see `recover_with`."""
        self._write(
            "INSERT INTO runs (id, pid, process_started, target, recovery, folder, started)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            run.id,
            run.process.pid,
            run.process.started,
            run.target,
            json.dumps(dict(run.recovery)),
            str(run.folder),
            run.started,
        )

    def recover_with(self, run: str, recovery: Mapping[str, Any]) -> None:
        """Write down what the target's `undo` needs, as soon as the target is up and before anything is broken."""
        self._write("UPDATE runs SET recovery = ? WHERE id = ?", json.dumps(dict(recovery)), run)

    def end(self, run: str) -> None:
        """The run is over and its target is down; what it broke is gone with it."""
        now = time.time()
        self._write("UPDATE faults SET state = 'healed', healed = ? WHERE run = ? AND state != 'healed'", now, run)
        self._write("UPDATE runs SET ended = ? WHERE id = ?", now, run)

    def intend(self, run: str, lease: str, place: Place, breakage: Breakage) -> None:
        """Write down what is about to be broken. Only then break it."""
        self._write(
            "INSERT INTO faults (lease, run, place, kind, parameters, state, intended)"
            " VALUES (?, ?, ?, ?, ?, 'intended', ?)",
            lease,
            run,
            json.dumps(_place_out(place)),
            breakage.kind,
            json.dumps(dict(breakage.parameters())),
            time.time(),
        )

    def on(self, lease: str) -> None:
        """It is broken now."""
        self._write("UPDATE faults SET state = 'on', injected = ? WHERE lease = ?", time.time(), lease)

    def healed(self, lease: str) -> None:
        """It is whole again."""
        self._write("UPDATE faults SET state = 'healed', healed = ? WHERE lease = ?", time.time(), lease)

    def open_runs(self) -> Sequence[RunRow]:
        """Every run that has not said that it ended, oldest first: alive ones and dead ones."""
        rows = self._read(
            "SELECT id, pid, process_started, target, recovery, folder, started FROM runs"
            " WHERE ended IS NULL ORDER BY started"
        )
        return [
            RunRow(run, ProcessId(pid, process_started), target, json.loads(recovery), Path(folder), started)
            for run, pid, process_started, target, recovery, folder, started in rows
        ]

    def faults(self, run: str) -> Sequence[FaultRow]:
        """Everything that a run broke or was about to break, in order."""
        rows = self._read(
            "SELECT lease, run, place, kind, parameters, state FROM faults WHERE run = ? ORDER BY intended, rowid", run
        )
        return [
            FaultRow(lease, of, _place_in(json.loads(place)), kind, json.loads(parameters), state)
            for lease, of, place, kind, parameters, state in rows
        ]


def _place_out(place: Place) -> list[str]:
    if isinstance(place, ServicePlace):
        return ["service", place.service]
    return ["link", place.source, place.destination]


def _place_in(place: list[str]) -> Place:
    kind, *names = place
    return ServicePlace(*names) if kind == "service" else LinkPlace(*names)
