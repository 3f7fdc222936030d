"""Evidence on disk: one SQLite file a run, written as things happen, readable whatever ends the writer."""

import asyncio
import contextlib
import json
import sqlite3
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any, Self

from brownout import __version__
from brownout.errors import BrownoutError, EnvironmentProblem
from brownout.evidence import _rows
from brownout.evidence.recording import Recording, Row
from brownout.evidence.schema import APPLICATION_ID, SCHEMA_VERSION, create
from brownout.judge import Judged, Judgement
from brownout.probe import Verdict

COMMIT_EVERY = 0.25
"""Seconds between two commits: what SIGKILL can cost at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunInfo:
    """What was run, and how it ended; the table `run`, one row a field."""

    title: str
    experiment_source: str = field(repr=False)
    """The experiment file's text, as it was read."""
    experiment_file: str
    """Its base name."""
    target: str
    seed: int
    scale: float
    """Factor on every span of the run's clock."""
    started_at: float
    """Unix seconds: zero of the run's clock."""
    duration: float
    """Planned length, in seconds of the run, scaled."""
    command: tuple[str, ...] = ()
    """How to run it again; whoever fills it leaves secrets out."""
    environment: Mapping[str, str] = field(default_factory=dict)
    """The machine and the versions on it, for people."""
    settings: Mapping[str, str | float | int | bool] = field(default_factory=dict)
    """What was set on the system under test."""
    schema_version: int = SCHEMA_VERSION
    brownout_version: str = __version__
    outcome: str | None = None
    """None where the run never came to its end."""
    reasons: tuple[str, ...] = ()
    aborted: str | None = None
    """Why it was aborted."""
    errors: tuple[str, ...] = ()
    """What failed that was not the system's own doing."""
    end: float | None = None
    """When the run ended, in seconds of the run."""
    ended_at: float | None = None
    """The same in Unix seconds."""


@dataclass(frozen=True, slots=True)
class RecordedVerdict:
    """What a check said when the run ended."""

    block: str
    probe: str
    title: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class RecordedRun:
    """A run, read back."""

    info: RunInfo
    recording: Recording
    verdicts: tuple[RecordedVerdict, ...]


def as_json(rows: Iterable[RecordedVerdict]) -> list[dict[str, object]]:
    """Verdicts for programs: `block`, `probe`, `title`, and the fields of `Verdict`."""
    return [{"block": row.block, "probe": row.probe, "title": row.title, **asdict(row.verdict)} for row in rows]


def recorded(judged: Iterable[Judged]) -> tuple[RecordedVerdict, ...]:
    """Verdicts as the file keeps them."""
    return tuple(RecordedVerdict(one.block, one.check.probe, one.check.title, one.verdict) for one in judged)


class EvidenceWriter:
    """A recording's sink: `write` takes rows at once, a task commits them, one thread of its own touches the file.

    The thread keeps a slow disk out of the event loop, on which the load is timed. After the first failure nothing more
    is written, so that the file is a faithful beginning of the run, and `failed` says why: such a run is not green.
    """

    def __init__(self, path: Path, info: RunInfo) -> None:
        """Make the file; it must not be there yet.

        Raises:
            EnvironmentProblem: it cannot be made.
        """
        self._info = info
        self._rows: list[Row] = []
        self._failed: str | None = None
        self._stop = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="evidence")
        with contextlib.ExitStack() as undo:
            try:
                path.touch(exist_ok=False)
                self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
                undo.callback(self._file.close)
                create(self._file)
                self._write_info(info)
            except (OSError, sqlite3.Error) as error:
                msg = f"the evidence cannot be written to {path}: {error}"
                raise EnvironmentProblem(msg) from error
            undo.pop_all()

    @property
    def failed(self) -> str | None:
        """Why the file is not complete; None while it is."""
        return self._failed

    def write(self, row: Row) -> None:
        """Take a row; on disk within `COMMIT_EVERY` seconds."""
        self._rows.append(row)

    def start(self) -> None:
        """Start committing; `stop` ends it."""
        self._task = asyncio.get_running_loop().create_task(self._keep_committing())

    async def flush(self) -> None:
        """Write what is left and end committing. Where it fails, `failed` says so; nothing is raised."""
        self._stop.set()
        if self._task is not None:
            await self._task
            self._task = None
        await self._commit()

    async def close(self, judgement: Judgement) -> None:
        """Write what is left, the verdicts and the run's end, and leave one file behind that needs no log beside it.

        Where it fails, `failed` says so and the file does not say that the run ended; nothing is raised.
        """
        await self.flush()
        await self._do(lambda: self._finish(judgement))

    async def stop(self) -> None:
        """Write what is left and let go of the file. Without `close` before, the file says that the run never ended."""
        await self.flush()
        self._thread.shutdown()
        self._file.close()

    async def __aenter__(self) -> Self:
        self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _keep_committing(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COMMIT_EVERY):
                    await self._stop.wait()
            await self._commit()

    async def _commit(self) -> None:
        rows, self._rows = self._rows, []
        if rows and self._failed is None:
            await self._do(lambda: self._insert(rows))

    async def _do(self, work: Callable[[], None]) -> None:
        try:
            await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except Exception as error:  # whatever it is, a row of the system's making included, must not end the run
            if self._failed is None:
                self._failed = f"evidence could not be written: {error}"

    # -- on the thread -------------------------------------------------------------------------------------------

    def _insert(self, rows: Sequence[Row]) -> None:
        with self._transaction():
            for kind, (statement, values) in _rows.INSERTS.items():
                self._file.executemany(statement, [values(row) for row in rows if type(row) is kind])

    def _finish(self, judgement: Judgement) -> None:
        info = replace(
            self._info,
            outcome=judgement.outcome,
            reasons=judgement.reasons,
            aborted=judgement.aborted,
            errors=judgement.errors,
            end=judgement.end,
            ended_at=self._info.started_at + judgement.end,
        )
        with self._transaction():
            self._file.executemany(
                _rows.INSERT_VERDICT,
                [
                    _rows.verdict_values(row.block, row.probe, row.title, row.verdict)
                    for row in recorded(judgement.judged)
                ],
            )
        self._file.execute("PRAGMA journal_mode = DELETE")
        # Last: a file that says how the run ended is one to which nothing could still go wrong.
        self._write_info(info)

    def _write_info(self, info: RunInfo) -> None:
        with self._transaction():
            self._file.executemany(
                _rows.INSERT_RUN, [(each.name, _rows.dump(getattr(info, each.name))) for each in fields(info)]
            )

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._file.execute("BEGIN")
        try:
            yield
            self._file.execute("COMMIT")
        except BaseException:
            if self._file.in_transaction:
                self._file.execute("ROLLBACK")
            raise


def read_run(path: Path) -> RecordedRun:
    """Read the evidence of a run, ended or not, the one that is being written included.

    Raises:
        BrownoutError: it is no evidence of ours, of a newer schema, or damaged.
    """
    if not path.is_file():
        msg = f"{path}: there is no such file"
        raise BrownoutError(msg)
    try:
        with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as file:
            _check(file, path)
            return _read(file)
    except sqlite3.DatabaseError as error:
        msg = f"{path} cannot be read as Brownout evidence: {error}"
        raise BrownoutError(msg) from error
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        msg = f"{path} is damaged: {type(error).__name__}: {error}"
        raise BrownoutError(msg) from error


def _check(file: sqlite3.Connection, path: Path) -> None:
    if file.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        msg = f"{path} is no Brownout evidence"
        raise BrownoutError(msg)
    version = file.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        msg = f"{path} was written by a newer Brownout (schema {version}; this one reads up to {SCHEMA_VERSION})"
        raise BrownoutError(msg)
    # A file that was cut short opens without complaint and fails, or worse does not, on the page that is missing.
    state = file.execute("PRAGMA quick_check(1)").fetchone()[0]
    if state != "ok":
        msg = f"{path} is damaged: {state}"
        raise BrownoutError(msg)


def _read(file: sqlite3.Connection) -> RecordedRun:
    # One transaction: the writer may be at work, and every table must be of the same moment.
    file.execute("BEGIN")
    recording = Recording()
    _rows.read_rows(recording, file)
    verdicts = tuple(
        RecordedVerdict(block, probe, title, Verdict(*verdict))
        for block, probe, title, *verdict in _rows.select(file, "verdict")
    )
    return RecordedRun(_read_info(dict(file.execute("SELECT key, value FROM run"))), recording, verdicts)


_LISTS = ("command", "reasons", "errors")
_MAPPINGS = ("environment", "settings")


def _read_info(run: Mapping[str, Any]) -> RunInfo:
    if not run:
        msg = "it says nothing of a run; if it was copied, the file ending in -wal belongs beside it"
        raise ValueError(msg)
    values = {each.name: run[each.name] for each in fields(RunInfo)}
    values |= {name: tuple(json.loads(values[name])) for name in _LISTS}
    values |= {name: json.loads(values[name]) for name in _MAPPINGS}
    return RunInfo(**values)
