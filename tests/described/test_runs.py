"""Whole runs on a tiny system of somebody's own, as its owner starts them."""

import json
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from brownout.evidence.store import read_run
from tests.busy import Cpu, in_time, wait_for_calm
from tests.described.system import System, system_in
from tests.runs.commandline import TRIES, Chaos, Started, fails

pytestmark = pytest.mark.run


@pytest.fixture
def system(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> System:
    monkeypatch.setenv("TOLD", "")
    return system_in(tmp_path / "system")


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    command = Chaos(tmp_path / "work")
    yield command
    for started in command.started:
        if started.process.poll() is None:
            started.process.terminate()
            started.process.wait(60)


def mid_fault(chaos: Chaos, system: System) -> Started:
    for attempt in range(TRIES):
        started = chaos.start("run", str(system.experiment), folder=chaos.folder / f"attempt-{attempt}")
        if started.saw("partition app → llm (manner: reset): on"):
            break
        wait_for_calm()
    started.wait_for("partition app → llm (manner: reset): on")
    return started


def test_after_sigkill_nothing_that_was_started_is_left(chaos: Chaos, system: System) -> None:
    started = mid_fault(chaos, system)
    me = psutil.Process(started.process.pid)
    started.family = {process.pid: process for process in me.children(recursive=True)}
    # A supervisor, the fault proxy, the app and its provider.
    assert len(started.family) == 4

    killed = Cpu.now()
    started.process.kill()

    assert started.survivors(within=60) == []
    assert in_time(killed, 10.0)
    assert system.listening() == []
    code, out, said = chaos("heal", "--json")
    assert code == 0, out + said
    (healed,) = json.loads(out)["runs"]
    assert (healed["outcome"], healed["faults"]) == ("healed", ["link.reset at app → llm"])


@pytest.mark.long
def test_an_app_without_a_defence_fails_and_the_run_says_of_what_it_was(chaos: Chaos, system: System) -> None:
    result = chaos.run(
        system.experiment, expect=fails(("during", "availability"), spares=[("after", "availability")]), scale="1"
    )

    recorded = read_run(result.run / "evidence.sqlite")
    graded = [(one.claims, one.claims_supported) for one in recorded.recording.requests if one.outcome == "ok"]
    assert recorded.info.target == str(system.description)
    assert set(graded) == {(1, 1)}
    assert (result.run / "target.yaml").read_text() == system.description.read_text()
