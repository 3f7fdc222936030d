"""A drill's experiment in a process of its own: what it tells, and how it is ended; the run itself is a stand-in."""

import asyncio
import os
import re
import signal
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, ClassVar

import pytest

from brownout.gameday.abort import Abort
from brownout.gameday.drill import Played
from brownout.ledger import Ledger
from brownout.toolkit import child, stage

pytestmark = pytest.mark.process

RUN = """
import json, os, signal, sys, time
from pathlib import Path
from brownout.breakage import Blackhole, ServicePlace
from brownout.ledger import Ledger, RunRow
from brownout.process import current
from brownout.system import ServiceName

how, arguments = sys.argv[1], sys.argv[2:]
events = os.open(arguments[arguments.index("--events") + 1], os.O_WRONLY)
folder = Path(arguments[arguments.index("--runs-dir") + 1]) / "a-run"
folder.mkdir()

def tell(**told):
    os.write(events, json.dumps(told).encode() + b"\\n")

ledger = Ledger.open()
ledger.begin(RunRow("a-run.1", current(), "stand-in", {"of": "it"}, folder, time.time()))

def stopped(*_):
    tell(event="note", at=1.0, text="ABORTED: interrupted by SIGTERM")
    if how == "slow":
        time.sleep(3600)
    ledger.end("a-run.1")
    sys.exit(4)

signal.signal(signal.SIGTERM, signal.SIG_IGN if how == "deaf" else stopped)
tell(event="phase", name="bring up", start=None, end=None)
if how == "ends":
    os.write(events, b"not JSON\\n")
    ledger.end("a-run.1")
    tell(event="end")
    sys.exit(1)
if how != "whole":
    ledger.intend("a-run.1", "a-lease", ServicePlace(ServiceName("cache")), Blackhole())
    ledger.on("a-lease")
tell(event="tick", pid=os.getpid())
time.sleep(3600)
"""


class StandIn:
    """A target of which a test knows what was undone."""

    undone: ClassVar[list[Mapping[str, Any]]] = []

    @classmethod
    async def undo(cls, recovery: Mapping[str, Any]) -> list[str]:
        cls.undone.append(recovery)
        return ["ended it"]


class Targets:
    def get(self, name: str) -> Any:
        assert name == "stand-in"
        return StandIn


def played(
    how: str,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    abort_on: str | None = None,
    told: list[Mapping[str, Any]] | None = None,
) -> tuple[Played, list[Mapping[str, Any]]]:
    """Play it, and ask for the abort when it tells an event of that kind."""
    StandIn.undone.clear()
    folder = folder / "runs"
    folder.mkdir()
    monkeypatch.setattr(
        child,
        "command",
        lambda arguments, settings: [
            *(sys.executable, "-m", "brownout.child", str(os.getpid()), str(int(signal.SIGTERM))),
            *(sys.executable, "-c", RUN, how, *arguments),
        ],
    )
    monkeypatch.setattr(stage.registry, "targets", Targets)
    kept: list[Mapping[str, Any]] = [] if told is None else told

    async def play() -> Played:
        abort = Abort(lambda: datetime.now(UTC))

        async def tell(event: Mapping[str, Any]) -> None:
            kept.append(event)
            if event["event"] == abort_on:
                abort.ask("Grace", "smoke")

        one = stage.ToolkitStage(folder, target="stand-in", scale=1.0, instance="default", settings="/nowhere")
        return await one.play(Path("one.yaml"), abort=abort, tell=tell)

    return asyncio.run(play()), kept


def test_what_a_run_tells_is_told_on_and_its_exit_code_is_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, told = played("ends", tmp_path, monkeypatch)
    assert (ended.exit_code, ended.folder, ended.healed) == (1, tmp_path / "runs" / "a-run", None)
    assert [one["event"] for one in told] == ["phase", "end"]


def test_an_aborted_run_heals_by_itself_and_it_is_said_how_soon(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended, told = played("heals", tmp_path, monkeypatch, abort_on="tick")
    assert ended.exit_code == 4
    assert ended.healed is not None
    assert re.fullmatch(r"all was whole \S+ ms later", ended.healed)
    assert told[-1]["text"] == "ABORTED: interrupted by SIGTERM"
    assert not StandIn.undone


def test_a_run_that_had_broken_nothing_is_ended_all_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, _ = played("whole", tmp_path, monkeypatch, abort_on="tick")
    assert ended.exit_code == 4
    assert ended.healed is not None
    assert ended.healed.startswith("all was whole ")


@pytest.mark.parametrize("how", ["deaf", "slow"])
def test_what_a_run_does_not_heal_within_a_second_is_healed_from_the_ledger_and_it_is_killed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    ended, told = played(how, tmp_path, monkeypatch, abort_on="tick")
    assert ended.exit_code == 4
    assert ended.healed is not None
    assert ended.healed.startswith("it did not heal in time, so all was healed from the ledger, ")
    assert StandIn.undone == [{"of": "it"}]
    pid = next(one["pid"] for one in told if one["event"] == "tick")
    assert not Path(f"/proc/{pid}").exists()
    with Ledger.open() as ledger:
        assert not ledger.open_runs()
        assert [row.state for row in ledger.faults("a-run.1")] == ["healed"]


def test_a_run_to_which_nobody_can_listen_any_more_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Told(list[Mapping[str, Any]]):
        pid = 0

        def append(self, event: Mapping[str, Any]) -> None:
            if event["event"] == "tick":
                Told.pid = event["pid"]
                raise OSError("the disk is full")

    with pytest.raises(OSError, match="the disk is full"):
        played("heals", tmp_path, monkeypatch, told=Told())
    assert not Path(f"/proc/{Told.pid}").exists()


def test_a_run_that_is_over_does_not_wait_for_the_drill(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, _ = played("ends", tmp_path, monkeypatch, abort_on="end")
    # Its exit code had come, or had not: either way it has ended and nothing is broken.
    assert ended.exit_code in (1, 4)
