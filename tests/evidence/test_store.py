"""evidence.sqlite: what is written is what is read, whatever ends the writer; and what is no evidence is refused."""

import asyncio
import contextlib
import json
import math
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from brownout.errors import BrownoutError, EnvironmentProblem, Location
from brownout.evidence import Event, FaultSpan, Proof, Recording, Sample, Transition
from brownout.evidence.schema import SCHEMA_VERSION
from brownout.evidence.store import EvidenceWriter, RecordedRun, read_run
from brownout.experiment import Check
from brownout.judge import Judged, Judgement
from brownout.probe import Verdict
from tests.evidence.making import PROOFS, contents, evenly, fill, info, record, request

CHECK = Check("availability", {"at_least": 0.99}, "availability: at-least 99%", Location("drill.yaml"))
VERDICT = Verdict("failed", "97 %", "at least 99 %", 200, "6 of 200", value=0.97, limit=0.99, unit="share")
JUDGEMENT = Judgement("failed", (Judged("during", CHECK, VERDICT),), ("97 %",), None, ("a recorder failed",), 61.5)


async def write(path: Path, rows: list[Any], judgement: Judgement | None = JUDGEMENT, **options: Any) -> Recording:
    async with EvidenceWriter(path, info()) as writer:
        recording = Recording(writer)
        for row in rows:
            record(recording, row, **options)
        if judgement is not None:
            await writer.close(judgement)
        assert writer.failed is None
    return recording


@pytest.fixture
def written(tmp_path: Path) -> Path:
    """A file with a few thousand rows in it."""
    path = tmp_path / "evidence.sqlite"
    rows = [Sample(n / 100, "gateway", "answers_total", (("level", "0"),), float(n)) for n in range(3000)]
    asyncio.run(write(path, [*evenly(500), *rows]))
    return path


@given(fill(), PROOFS)
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_read_is_what_was_recorded(rows: list[Any], proof: Proof) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "evidence.sqlite"
        recording = asyncio.run(write(path, rows, proof=proof))
        assert contents(read_run(path).recording) == contents(recording)


def test_the_runs_end_and_its_verdicts_are_read_back(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    asyncio.run(write(path, []))
    run = read_run(path)
    assert run.info == info(
        outcome="failed", reasons=("97 %",), errors=("a recorder failed",), end=61.5, ended_at=1_700_000_061.75
    )
    assert [(row.block, row.probe, row.title, row.verdict) for row in run.verdicts] == [
        ("during", "availability", "availability: at-least 99%", VERDICT)
    ]


def test_a_run_that_was_never_closed_says_that_it_has_no_end(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    asyncio.run(write(path, [request(1)], judgement=None))
    run = read_run(path)
    assert run.info == info()
    assert [row.id for row in run.recording.requests] == [1]


def test_one_file_is_left_behind(tmp_path: Path) -> None:
    asyncio.run(write(tmp_path / "evidence.sqlite", [request(1)]))
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.sqlite"]


def test_what_is_recorded_after_the_verdict_is_still_written(tmp_path: Path) -> None:
    async def run() -> None:
        async with EvidenceWriter(tmp_path / "evidence.sqlite", info()) as writer:
            await writer.close(JUDGEMENT)
            Recording(writer).add_event(Event(62.0, "error", "the target would not go down"))

    asyncio.run(run())
    assert [event.at for event in read_run(tmp_path / "evidence.sqlite").recording.events] == [62.0]
    assert [path.name for path in tmp_path.iterdir()] == ["evidence.sqlite"]


def test_rows_can_be_read_while_the_run_lasts(tmp_path: Path) -> None:
    async def run() -> RecordedRun:
        async with EvidenceWriter(tmp_path / "evidence.sqlite", info()) as writer:
            Recording(writer).add_request(request(1))
            for _ in range(1000):
                found = read_run(tmp_path / "evidence.sqlite")
                if found.recording.requests:
                    return found
                await asyncio.sleep(0.05)
        return found

    assert [row.id for row in asyncio.run(run()).recording.requests] == [1]


def test_a_metric_that_is_no_number_is_kept_as_such(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    asyncio.run(write(path, [Sample(1.0, "gateway", "quantile", (), float("nan"))]))
    (sample,) = read_run(path).recording.samples
    assert math.isnan(sample.value)


# -- what ends a writer ------------------------------------------------------------------------------------------------

_WRITER = """
import asyncio, resource, sys, time
from pathlib import Path
from brownout.evidence import Recording
from brownout.evidence.store import EvidenceWriter
from tests.evidence.making import info, request

async def main() -> None:
    async with EvidenceWriter(Path(sys.argv[1]), info()) as writer:
        recording = Recording(writer)
        number = 0
        while writer.failed is None:
            number += 1
            # On the machine's own clock, so that whoever kills us can tell how old a row is.
            recording.add_request(request(number, time.monotonic(), error=sys.argv[2] * 100))
            if number % 20 == 0:
                print(number, flush=True)
            await asyncio.sleep(0.01)
        print(writer.failed, flush=True)

if limit := int(sys.argv[3]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
asyncio.run(main())
"""
ROOT = Path(__file__).parents[2]


def writer(path: Path, *, filler: str = "", limit: int = 0) -> "subprocess.Popen[str]":
    """A process that records until it is ended or cannot write; `limit` is the largest file it may write, in bytes."""
    command = [sys.executable, "-c", _WRITER, str(path), filler, str(limit)]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)


@pytest.mark.process
def test_after_sigkill_the_file_is_readable_up_to_the_last_second(tmp_path: Path) -> None:
    lost: list[float] = []
    # A busy disk may be late once.
    while not lost or (min(lost) >= 1.0 and len(lost) < 5):
        path = tmp_path / f"{len(lost)}.sqlite"
        with writer(path) as child:
            assert child.stdout is not None
            try:
                for line in child.stdout:
                    if int(line) >= 120:
                        break
            finally:
                child.send_signal(signal.SIGKILL)
                killed = time.monotonic()
        run = read_run(path)
        assert run.info.outcome is None
        rows = run.recording.requests
        assert [row.id for row in rows] == list(range(1, len(rows) + 1))
        lost.append(killed - rows[-1].intended if rows else killed)
    assert min(lost) < 1.0


@pytest.mark.process
def test_a_full_disk_is_told_and_leaves_a_readable_beginning(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    # A file size limit stands in for the disk's: both fail the same write.
    with writer(path, filler="filler" * 10, limit=200_000) as child:
        output, _ = child.communicate(timeout=120)
    assert child.returncode == 0
    assert output.splitlines()[-1].startswith("evidence could not be written: ")
    rows = read_run(path).recording.requests
    assert [row.id for row in rows] == list(range(1, len(rows) + 1))
    assert rows


def test_a_row_that_cannot_be_stored_is_told_and_does_not_end_the_run(tmp_path: Path) -> None:
    async def run() -> str | None:
        async with EvidenceWriter(tmp_path / "evidence.sqlite", info()) as writer:
            Recording(writer).add_request(request(1, prompt_tokens=2**70))
            await writer.close(JUDGEMENT)
            return writer.failed

    failed = asyncio.run(run())
    assert failed is not None
    assert "could not be written" in failed


def test_the_same_request_recorded_twice_is_told(tmp_path: Path) -> None:
    async def run() -> str | None:
        async with EvidenceWriter(tmp_path / "evidence.sqlite", info()) as writer:
            writer.write(request(1))
            writer.write(request(1))
            await writer.close(JUDGEMENT)
            return writer.failed

    assert "UNIQUE" in str(asyncio.run(run()))


def test_a_file_that_is_there_already_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    path.write_text("somebody's")
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        EvidenceWriter(path, info())
    assert path.read_text() == "somebody's"


def test_a_folder_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentProblem, match="cannot be written"):
        EvidenceWriter(tmp_path / "nowhere" / "evidence.sqlite", info())


# -- what is refused ---------------------------------------------------------------------------------------------------


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BrownoutError, match="no such file"):
        read_run(tmp_path / "evidence.sqlite")


@pytest.mark.parametrize("content", [b"", b"hello", b"SQLite format 3\0", bytes(4096)])
def test_a_file_that_is_no_database_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "evidence.sqlite"
    path.write_bytes(content)
    with pytest.raises(BrownoutError, match="evidence"):
        read_run(path)
    assert path.read_bytes() == content


def test_a_database_of_somebody_else_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE request (id INTEGER)")
    file.close()
    with pytest.raises(BrownoutError, match="no Brownout evidence"):
        read_run(path)


def test_a_newer_schema_is_refused_and_named(written: Path) -> None:
    file = sqlite3.connect(written)
    file.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    file.close()
    with pytest.raises(BrownoutError, match=f"schema {SCHEMA_VERSION + 1}; this one reads up to {SCHEMA_VERSION}"):
        read_run(written)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.999])
def test_a_file_that_was_cut_short_is_refused(written: Path, share: float) -> None:
    content = written.read_bytes()
    written.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(BrownoutError):
        read_run(written)


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE request SET warnings = '['",
        "UPDATE request SET outcome = 'fine'",
        "UPDATE run SET value = 'x' WHERE key = 'reasons'",
        "DELETE FROM run WHERE key = 'scale'",
        "DROP TABLE sample",
    ],
)
def test_rows_that_are_none_of_ours_are_refused(written: Path, damage: str) -> None:
    file = sqlite3.connect(written)
    file.execute(damage)
    file.commit()
    file.close()
    with pytest.raises(BrownoutError, match=r"damaged|cannot be read"):
        read_run(written)


def test_an_event_leaves_its_detail_empty(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    asyncio.run(write(path, [Event(1.0, "note", "a word")]))
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT at, kind, text, detail FROM event").fetchall() == [(1.0, "note", "a word", "{}")]


def test_a_figure_that_is_no_number_is_null_in_the_file_and_read_back_as_none(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    figures = {"a": math.inf, "b": math.nan, "c": 2.5}
    asyncio.run(write(path, [FaultSpan(0, "partition", "p", 1.0, 2.0)], proof=Proof(True, "on", figures)))
    with contextlib.closing(sqlite3.connect(path)) as file:
        assert file.execute("SELECT json_type(figures, '$.a'), figures ->> 'c' FROM fault").fetchall() == [
            ("null", 2.5)
        ]
    (span,) = read_run(path).recording.faults
    assert span.proof is not None
    assert [math.isnan(value) for value in span.proof.figures.values()] == [True, True, False]


def test_a_figure_that_is_a_word_is_damage(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    asyncio.run(write(path, [FaultSpan(0, "partition", "p", 1.0, 2.0)], proof=Proof(True, "on", {"a": 1.0})))
    with contextlib.closing(sqlite3.connect(path)) as file, file:
        file.execute("""UPDATE fault SET figures = '{"a": "many"}'""")
    with pytest.raises(BrownoutError, match="is damaged: ValueError: a fault's figure is no number"):
        read_run(path)


# -- for people --------------------------------------------------------------------------------------------------------


def test_the_example_queries_of_the_documentation_run(written: Path) -> None:
    text = (ROOT / "docs" / "evidence.md").read_text("utf-8")
    queries = [part.split("```")[0] for part in text.split("```sql\n")[1:]]
    assert len(queries) >= 3
    file = sqlite3.connect(written)
    for query in queries:
        file.execute(query).fetchall()
    file.close()


def test_every_column_is_in_the_documentation(written: Path) -> None:
    text = (ROOT / "docs" / "evidence.md").read_text("utf-8")
    file = sqlite3.connect(written)
    for (table,) in file.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
        assert f"### `{table}`" in text
        section = text.split(f"### `{table}`")[1].split("\n### ")[0]
        for column in file.execute("SELECT name FROM pragma_table_info(?)", (table,)).fetchall():
            assert f"`{column[0]}`" in section, (table, column)
    keys = {key for (key,) in file.execute("SELECT key FROM run")}
    file.close()
    assert all(f"`{key}`" in text.split("### `run`")[1] for key in keys)


def test_labels_and_attempts_can_be_queried_as_json(tmp_path: Path) -> None:
    path = tmp_path / "evidence.sqlite"
    rows = [
        Sample(1.0, "gateway", "up", (("dependency", "vector-db"),), 1.0),
        Transition(1.0, "vector-db", None, "closed"),
        request(1, attempts={"vector-db": 2}),
    ]
    asyncio.run(write(path, rows))
    file = sqlite3.connect(path)
    assert json.loads(file.execute("SELECT labels FROM sample").fetchone()[0]) == {"dependency": "vector-db"}
    (attempts,) = file.execute("""SELECT json_extract(attempts, '$."vector-db"') FROM request""").fetchone()
    file.close()
    assert attempts == 2


def test_a_file_from_before_a_column_and_a_table_were_added_is_read_as_never_having_recorded_them(
    written: Path,
) -> None:
    file = sqlite3.connect(written)
    for column in ("load", "retry_after", "provider", "claims", "claims_supported"):
        file.execute(f"ALTER TABLE request DROP COLUMN {column}")
    for column in ("low", "high"):
        file.execute(f"ALTER TABLE verdict DROP COLUMN {column}")
    for table in ("document", "question"):
        file.execute(f"DROP TABLE {table}")
    file.commit()
    file.close()
    run = read_run(written)
    assert list(run.recording.requests) == evenly(500)
    assert run.recording.documents == run.recording.questions == ()
    assert [row.verdict for row in run.verdicts] == [VERDICT]
