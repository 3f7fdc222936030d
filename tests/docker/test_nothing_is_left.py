"""However a run ends, no container, network, volume or scratch folder of it is left."""

import asyncio
import contextlib
import json
import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import docker
import pytest
from click.testing import CliRunner

from brownout.cli.heal import heal
from brownout.errors import EnvironmentProblem
from brownout.fixtures.docker import DockerTarget
from brownout.fixtures.docker.images import Images, variable_of
from brownout.fixtures.docker.labels import OWNER, RUN, labels_of
from brownout.fixtures.docker.reaper import Reaper
from brownout.ledger import Ledger
from brownout.process import ProcessId, identify
from brownout.target import TargetOptions
from tests import doomed
from tests.busy import Cpu, in_time
from tests.docker.helpers import PATIENCE, Up, everything, left
from tests.runs.commandline import EXPERIMENTS, Chaos

pytestmark = [pytest.mark.process, pytest.mark.usefixtures("images")]


ELSEWHERE = """
import runpy, socket, sys
socket.gethostname = lambda: "elsewhere"
del sys.argv[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""
"""Runs a script on another machine, as far as that knows: no run of this one takes what it leaves for an orphan."""


@contextlib.contextmanager
def harness(folder: Path, *interpreter: str) -> Iterator[tuple["subprocess.Popen[bytes]", dict[str, Any]]]:
    """One that has broken things; and how to recover from it."""
    argv = [sys.executable, *interpreter, doomed.__file__, str(folder), "docker"]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            recovery = json.loads(process.stdout.readline())
            assert len(left(run=recovery["run"])) == 9
            yield process, recovery
        finally:
            process.kill()


def gone(recovery: dict[str, Any], *, within: float = PATIENCE) -> bool:
    deadline = time.monotonic() + within
    while left(run=recovery["run"]) or Path(recovery["scratch"]).exists():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.1)
    return True


def test_a_killed_harness_takes_its_stack_with_it_within_ten_seconds(tmp_path: Path) -> None:
    with harness(tmp_path) as (process, recovery):
        os.kill(process.pid, signal.SIGKILL)
        killed = Cpu.now()
        assert gone(recovery), left(run=recovery["run"])
        assert in_time(killed, 10.0)

    healed = CliRunner().invoke(heal)

    assert healed.exit_code == 0
    assert "doomed: healed" in healed.output
    with Ledger.open() as ledger:
        assert ledger.open_runs() == []
        assert [fault.state for fault in ledger.faults("doomed")] == ["healed", "healed"]


def test_heal_removes_what_is_left_when_the_reaper_was_killed_too(tmp_path: Path) -> None:
    with harness(tmp_path, "-c", ELSEWHERE) as (process, recovery):
        os.kill(recovery["reaper"]["pid"], signal.SIGKILL)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert len(left(run=recovery["run"])) == 9

        healed = CliRunner().invoke(heal)

        assert healed.exit_code == 0, healed.output
        assert "removed container" in healed.output
        assert gone(recovery, within=0.0), left(run=recovery["run"])


def test_heal_removes_what_a_run_left_that_died_before_the_ledger_knew_how_to_recover_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # Runs that start meanwhile would remove it, too.
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    with subprocess.Popen(["true"]) as dead:
        owner = identify(dead.pid) or ProcessId(dead.pid, "ended")
    mine = labels_of("orphan", scratch="")
    client = docker.from_env()
    client.volumes.create("brownout-orphan", labels={**mine, OWNER: f"{owner.pid}:{owner.started}"})
    client.volumes.create("brownout-mine", labels={**mine, RUN: "mine"})
    try:
        assert asyncio.run(DockerTarget.undo({})) == ["removed volume brownout-orphan"]
        assert left(run="mine") == ["volume brownout-mine"]
    finally:
        client.volumes.get("brownout-mine").remove()
        client.close()


@pytest.mark.parametrize("nothing_left", [False, True])
def test_the_reaper_looks_for_what_is_left_unless_it_is_told_that_nothing_is(
    tmp_path: Path, nothing_left: bool
) -> None:
    run = f"reaped-{secrets.token_hex(4)}"

    async def play() -> None:
        reaper = await Reaper.start(run, tmp_path / "scratch", log=tmp_path / "reaper.log")
        await reaper.close(nothing_left=nothing_left)

    with contextlib.closing(docker.from_env()) as client:
        volume = client.volumes.create(f"brownout-{run}", labels=labels_of(run, scratch=""))
        try:
            asyncio.run(play())
            assert left(run=run) == ([f"volume {volume.name}"] if nothing_left else [])
        finally:
            if nothing_left:
                volume.remove()


def test_a_service_that_does_not_start_is_told_with_its_log_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("stack"), Images.chosen().vector_db)

    async def play() -> None:
        target = DockerTarget()
        with pytest.raises(EnvironmentProblem, match=r"(?s)did not start: it ended with status.*PASSWORD"):
            await target.up(TargetOptions(seed=1, scale=1.0, workdir=tmp_path), lambda _: None)

    asyncio.run(play())
    assert left(by=[os.getpid()]) == []


def test_an_image_that_cannot_be_had_is_named_with_the_variable_that_names_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(variable_of("cache"), "brownout-nowhere.invalid/cache:1")

    async def play() -> None:
        with pytest.raises(EnvironmentProblem, match=r"brownout-nowhere.invalid/cache:1.*BROWNOUT_IMAGE_CACHE"):
            await DockerTarget().up(TargetOptions(seed=1, scale=1.0, workdir=tmp_path), lambda _: None)

    asyncio.run(play())
    assert left(by=[os.getpid()]) == []


@pytest.mark.run
def test_ctrl_c_while_it_comes_up_leaves_nothing(tmp_path: Path) -> None:
    chaos = Chaos(tmp_path / "work")
    started = chaos.start("run", str(EXPERIMENTS / "vector_db_partition.yaml"), "--target", "docker")
    deadline = time.monotonic() + PATIENCE
    while len(left(by=[started.process.pid])) < 4:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    started.process.send_signal(signal.SIGINT)

    assert started.finish() != 0
    assert left(by=[started.process.pid]) == []


def test_a_run_is_told_when_what_guards_it_is_gone(tmp_path: Path) -> None:
    with asyncio.Runner() as runner, Up.started(runner, tmp_path) as up:
        os.kill(up.target.recovery()["reaper"]["pid"], signal.SIGKILL)
        with pytest.raises(EnvironmentProblem, match="has ended itself"):
            up.run(up.target.watch())
    assert left(by=[os.getpid()]) == []


def test_start_up_takes_at_most_twenty_five_seconds_and_teardown_ten_and_it_leaves_nothing_at_all(
    tmp_path: Path,
) -> None:
    before, begun = everything(), Cpu.now()
    with asyncio.Runner() as runner, Up.started(runner, tmp_path):
        assert in_time(begun, 25.0)
        ending = Cpu.now()
    assert in_time(ending, 10.0)
    assert everything() <= before
