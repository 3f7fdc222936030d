"""What `chaos heal` does with each run that the ledger still holds."""

import asyncio
import json
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from brownout.breakage import LinkPlace, Reset
from brownout.cli.heal import heal
from brownout.errors import FaultError, InvalidInput
from brownout.healing import heal_runs
from brownout.ledger import Ledger, RunRow
from brownout.process import ProcessId, current
from brownout.target import Setting, Target

DEAD = ProcessId(current().pid, "an earlier boot/1")


class Undoing:
    """A target that notes what it is asked to undo."""

    name = "noting"

    def __init__(self, *, fails: bool = False) -> None:
        self.undone: list[Mapping[str, Any]] = []
        self.fails = fails

    def __call__(self) -> Target:
        raise NotImplementedError

    def check(self) -> Sequence[str]:
        return []

    def settings(self) -> Mapping[str, Setting]:
        return {}

    async def undo(self, recovery: Mapping[str, Any]) -> Sequence[str]:
        self.undone.append(recovery)
        if self.fails:
            msg = "the cluster cannot be reached"
            raise FaultError(msg)
        return ["deleted one network policy"]


def written(ledger: Ledger, run: str, process: ProcessId) -> None:
    ledger.begin(RunRow(run, process, "noting", {"of": run}, Path(), time.time()))
    ledger.intend(run, f"{run}.1", LinkPlace("gateway", "cache"), Reset())
    ledger.on(f"{run}.1")


@pytest.fixture
def ledger(state: Path) -> Any:
    with Ledger.open() as opened:
        yield opened


def test_a_dead_run_is_undone_through_its_target_and_its_faults_are_marked_healed(ledger: Ledger) -> None:
    written(ledger, "dead", DEAD)
    target = Undoing()
    (one,) = asyncio.run(heal_runs(ledger, lambda _: target))
    assert (one.run, one.outcome, one.did) == ("dead", "healed", ["deleted one network policy"])
    assert one.faults == ["link.reset at gateway → cache"]
    assert target.undone == [{"of": "dead"}]
    assert ledger.open_runs() == []
    assert [fault.state for fault in ledger.faults("dead")] == ["healed"]


def test_a_live_run_is_left_alone_unless_it_is_named_and_forced(ledger: Ledger) -> None:
    written(ledger, "live", current())
    target = Undoing()
    for only in (None, "live"):
        (one,) = asyncio.run(heal_runs(ledger, lambda _: target, only=only))
        assert one.outcome == "alive"
    assert target.undone == []
    (one,) = asyncio.run(heal_runs(ledger, lambda _: target, only="live", force=True))
    assert one.outcome == "healed"


def test_what_cannot_be_undone_stays_in_the_ledger_for_the_next_time(ledger: Ledger) -> None:
    written(ledger, "dead", DEAD)
    (one,) = asyncio.run(heal_runs(ledger, lambda _: Undoing(fails=True)))
    assert (one.outcome, one.did) == ("broken", ["the cluster cannot be reached"])
    assert [fault.state for fault in ledger.faults("dead")] == ["on"]
    (one,) = asyncio.run(heal_runs(ledger, lambda _: Undoing()))
    assert one.outcome == "healed"


def test_a_run_that_the_ledger_does_not_hold_is_refused_with_the_nearest_one(ledger: Ledger) -> None:
    written(ledger, "2026-vector-db", DEAD)
    with pytest.raises(InvalidInput, match="did you mean '2026-vector-db'"):
        asyncio.run(heal_runs(ledger, lambda _: Undoing(), only="2026-vectordb"))


def test_the_command_exits_with_2_while_something_is_left_broken(ledger: Ledger) -> None:
    ledger.begin(RunRow("lost", DEAD, "no-such-target", {}, Path(), time.time()))
    result = CliRunner().invoke(heal)
    assert result.exit_code == 2
    assert "no-such-target" in result.output
    assert "Traceback" not in result.output
    as_json = CliRunner().invoke(heal, ["--json"])
    assert as_json.exit_code == 2
    assert json.loads(as_json.stdout)["runs"][0]["outcome"] == "broken"


def test_force_needs_to_be_told_which_run(state: Path) -> None:
    result = CliRunner().invoke(heal, ["--force"])
    assert result.exit_code == 2
    assert "--force needs --run ID" in result.output
