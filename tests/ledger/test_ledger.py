"""What is about to be broken is on the disk before it is broken."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from brownout.breakage import Blackhole, Breakage, Delay, LinkPlace, Place, Reset, ServicePlace
from brownout.errors import EnvironmentProblem
from brownout.ledger import Ledger, RunRow
from brownout.process import current

names = st.text(min_size=1, max_size=30)
places: st.SearchStrategy[Place] = st.builds(ServicePlace, names) | st.builds(LinkPlace, names, names)
seconds = st.floats(0, 1e6)
breakages: st.SearchStrategy[Breakage] = (
    st.just(Blackhole()) | st.just(Reset()) | st.builds(Delay, latency=seconds, jitter=seconds)
)


def row(run: str, *, folder: Path = Path("runs/x")) -> RunRow:
    return RunRow(run, current(), "embedded", {}, folder, time.time())


@given(place=places, breakage=breakages)
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_fault_is_read_back_as_it_was_intended(state: Path, place: Place, breakage: Breakage) -> None:
    with Ledger.open() as writer, Ledger.open() as reader:
        run = f"run-{time.monotonic_ns()}"
        writer.begin(row(run))
        writer.intend(run, f"{run}.lease", place, breakage)
        (found,) = reader.faults(run)
    assert (found.place, found.kind, found.parameters) == (place, breakage.kind, breakage.parameters())
    assert (found.lease, found.state) == (f"{run}.lease", "intended")


def test_a_run_is_open_until_it_ends_and_then_nothing_of_it_is_broken(state: Path) -> None:
    with Ledger.open() as ledger:
        ledger.begin(row("run-1", folder=Path("/runs/one")))
        ledger.recover_with("run-1", {"pid": 7})
        ledger.intend("run-1", "lease-1", LinkPlace("gateway", "cache"), Reset())
        ledger.on("lease-1")
        ledger.intend("run-1", "lease-2", LinkPlace("gateway", "cache"), Reset())
        ledger.healed("lease-2")
        (run,) = ledger.open_runs()
        assert (run.id, run.process, run.recovery, run.folder) == ("run-1", current(), {"pid": 7}, Path("/runs/one"))
        assert [fault.state for fault in ledger.faults("run-1")] == ["on", "healed"]
        ledger.end("run-1")
        assert ledger.open_runs() == []
        assert [fault.state for fault in ledger.faults("run-1")] == ["healed", "healed"]


def test_runs_that_ended_long_ago_are_forgotten(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    with Ledger.open() as ledger:
        for run in ("old", "open"):
            ledger.begin(row(run))
            ledger.intend(run, f"lease-{run}", ServicePlace("cache"), Reset())
        ledger.end("old")
    monkeypatch.setattr(time, "time", lambda: now + 31 * 86400)
    with Ledger.open() as ledger:
        assert ledger.faults("old") == []
        assert len(ledger.faults("open")) == 1


def test_the_ledger_is_for_its_owner_alone(state: Path) -> None:
    with Ledger.open() as ledger:
        ledger.begin(row("run-1"))
        modes = {file.name: file.stat().st_mode & 0o777 for file in state.iterdir() if file.is_file()}
    assert modes.keys() >= {"ledger.sqlite", "ledger.sqlite-wal"}
    assert set(modes.values()) == {0o600}


def test_every_change_waits_for_the_disk(state: Path) -> None:
    with Ledger.open() as ledger:
        assert ledger._connection.execute("PRAGMA synchronous").fetchone() == (2,)
        assert ledger._connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)


def test_a_ledger_that_is_no_ledger_is_told_in_one_message(state: Path) -> None:
    state.mkdir()
    (state / "ledger.sqlite").write_bytes(b"not a database at all" * 100)
    with pytest.raises(EnvironmentProblem, match=r"the ledger .*ledger\.sqlite cannot be used"):
        Ledger.open()


def test_what_a_newer_one_has_written_is_left_alone(state: Path) -> None:
    with Ledger.open() as ledger:
        ledger.begin(row("newer"))
    with closing(sqlite3.connect(state / "ledger.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 2")

    with pytest.raises(EnvironmentProblem, match="written by a newer Brownout"):
        Ledger.open()
