"""A made-up drill in a journal, with the evidence of its runs, as a real one leaves them."""

import asyncio
import contextlib
import functools
import sqlite3
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from brownout import process
from brownout.evidence import Recording
from brownout.evidence.store import EvidenceWriter
from brownout.gameday.governance import Override, Refusal
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import Mark, NewDrill, Outcome
from brownout.process import ProcessId
from tests.evidence.making import info
from tests.judge.runs import FILE, SOURCE, judged, record_run

START = datetime(2027, 6, 13, 1, 30, tzinfo=UTC)
"""Half past three in Berlin."""
PLAN = """\
title: A Sunday night
purpose: Is it seen?
schedule: {cron: "0 3 * * SUN", time-zone: Europe/Berlin, week: 2}
target: embedded
blast-radius: {traffic: 5%, pods: 1}
phases:
  - {name: cut off, experiments: [vector_db_partition.yaml]}
  - {name: cut off again, experiments: [vector_db_partition.yaml, never_started.yaml]}
goals: {detect: 10s, mitigate: 15m}
runbook: runbook.md
rollback: heal, then look
people: {commander: Ada, abort: [Grace], scribe: Joan, responders: [Hedy]}
blackouts: [{calendar: not-here-any-more.ics}]
"""
STEP = timedelta(minutes=2)
FAULT = timedelta(seconds=16)
"""From the start of an experiment to its fault: it comes up for some seconds, then the fault waits for ten."""


def drilled(
    base: Path,
    *,
    at: datetime = START,
    runs: Sequence[dict[str, Any]] = ({}, {"level": 0, "warnings": ()}),
    ended: bool = True,
    of: ProcessId | None = None,
    source: str = PLAN,
) -> str:
    """Play a drill that nobody played; returns its name.

    Args:
        base: where its folder is made.
        at: when it starts.
        runs: what is different in each of its runs; see `tests.judge.runs.record_run`.
        ended: whether it came to its end; else its last run, too, was cut short.
        of: the process that played it.
        source: its plan.
    """
    name = f"{at:%Y-%m-%dT%H-%M-%SZ}-sunday"
    folder = base / name
    with Journal.open() as journal:
        new = NewDrill(
            id=name,
            plan="sunday",
            title="A Sunday night",
            source=source,
            target="embedded",
            instance="default",
            folder=str(folder),
            commander="Ada",
            abort_holder="Grace",
            process=of or process.current(),
            review_within=48 * 3600,
            scheduled=at.replace(minute=0),
            started=at,
        )
        journal.begin(new, [(Refusal("blackout", "the launch"), Override("blackout", "Ada", "it was put off"))])
        outcomes: list[Outcome] = []
        for number, changes in enumerate(runs, start=1):
            began, last = at + (number - 1) * STEP, number == len(runs)
            journal.begin_step(name, number, phase="cut off" + " again" * (number > 1), experiment=FILE, at=began)
            run = folder / f"{began:%Y-%m-%dT%H-%M-%S}-vector_db_partition"
            outcome = _written(run, began + timedelta(seconds=6), whole=ended or not last, **changes)
            (run / "report.html").write_text("<h1>The run</h1>", encoding="utf-8")
            if ended or not last:
                outcomes.append(outcome)
                journal.end_step(name, number, outcome=outcome, folder=str(run), at=began + timedelta(seconds=70))
        if ended:
            worst: Outcome = "failed" if "failed" in outcomes else "passed"
            journal.end(name, outcome=worst, said=None, at=at + len(runs) * STEP)
    return name


def noticed(name: str, *, at: datetime = START) -> None:
    """An alert and two people notice the first failure of a drill; the scribe writes; somebody has to do something."""
    fault = at + FAULT
    with Journal.open() as journal, Minutes.open() as minutes:
        minutes.mark(name, Mark(1, "detected", "alert", "AvailabilityBurnsFast", fault + timedelta(seconds=12)))
        minutes.mark(name, Mark(1, "detected", "person", "Hedy", fault + timedelta(seconds=15)))
        minutes.note(name, "the status page is up to date", by="Joan", at=fault + timedelta(seconds=30))
        journal.follow_up(name, "alert on the breaker", owner="Hedy", due=None, at=at + timedelta(hours=1))


def _written(run: Path, started: datetime, *, whole: bool, **changes: Any) -> Outcome:
    run.mkdir(parents=True)
    outcome, evidence = _evidence(whole, tuple(sorted(changes.items())))
    path = run / "evidence.sqlite"
    path.write_bytes(evidence)
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as file:
        file.execute("UPDATE run SET value = ? WHERE key = 'started_at'", (started.timestamp(),))
    return outcome


@functools.cache
def _evidence(whole: bool, changes: tuple[tuple[str, Any], ...]) -> tuple[Outcome, bytes]:
    """What came of a run, and its evidence; made once for all tests."""

    async def write(path: Path) -> Outcome:
        about = info(experiment_source=SOURCE, experiment_file=FILE, scale=1.0, duration=60.0, started_at=0.0)
        async with EvidenceWriter(path, about) as writer:
            recording = Recording(writer)
            record_run(recording, **dict(changes))
            judgement = judged(recording)
            if whole:
                await writer.close(judgement)
        return judgement.outcome

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.sqlite"
        return asyncio.run(write(path)), path.read_bytes()
