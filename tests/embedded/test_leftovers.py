"""Whatever dies while something is broken, no process, cgroup or folder of a run is left."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import psutil
import pytest

from brownout.breakage import Breakage, Freeze, LimitMemory, StarveCpu, Stop
from brownout.errors import FaultError
from brownout.fixtures.embedded.leftovers import end_leftovers
from brownout.fixtures.embedded.supervisor import family
from brownout.fixtures.embedded.undo import recovery_of, undo
from tests.embedded.helpers import PATIENCE, all_end
from tests.embedded.victims import Victims, cgroups, states_of

pytestmark = pytest.mark.process

HELD: list[Breakage] = [Freeze(), Stop(grace=60.0), StarveCpu(share=0.1), LimitMemory(headroom=0)]


async def break_it(victims: Victims) -> list[psutil.Process]:
    """Break three victims, each of which has a child in a session of its own; returns all processes."""
    processes = []
    for name, breakage in zip(("one", "two", "three", "four"), HELD, strict=True):
        talk = await victims.talk(name)
        processes += [psutil.Process(await talk("spawn")), psutil.Process(await talk("pid"))]
        await victims.inject(name, breakage, lease=name)
    return processes


def run(logs: Path, play: Callable[[Victims, list[psutil.Process]], Awaitable[None]]) -> None:
    async def work() -> None:
        async with Victims.up(logs, "one", "two", "three", "four") as victims:
            await play(victims, await break_it(victims))

    asyncio.run(work())


def test_closing_heals_and_ends_what_is_broken(tmp_path: Path) -> None:
    async def play(victims: Victims, processes: list[psutil.Process]) -> None:
        await victims.supervised.close()
        assert not any(process.is_running() for process in processes)
        assert not victims.supervised.scratch.exists()
        assert cgroups(victims.supervised.scratch) == []

    run(tmp_path, play)


def test_after_the_supervisor_was_killed_closing_ends_even_what_is_paused(tmp_path: Path) -> None:
    async def play(victims: Victims, processes: list[psutil.Process]) -> None:
        supervisor = victims.supervised.process
        assert supervisor is not None
        os.kill(supervisor.pid, signal.SIGKILL)
        assert all_end([processes[1]], within=PATIENCE)
        # Nothing tells a paused child that its parent is gone.
        assert states_of(processes[0].pid) == {"T"}
        with pytest.raises(FaultError, match="the supervisor is gone"):
            await victims.heal("one")
        await victims.supervised.close()
        assert all_end(processes, within=PATIENCE)
        assert not victims.supervised.scratch.exists()
        assert cgroups(victims.supervised.scratch) == []

    run(tmp_path, play)


def test_undoing_what_a_killed_supervisor_left_ends_it_and_says_so(tmp_path: Path) -> None:
    async def play(victims: Victims, processes: list[psutil.Process]) -> None:
        supervisor = victims.supervised.process
        assert supervisor is not None
        recovery = recovery_of(victims.supervised)
        os.kill(supervisor.pid, signal.SIGKILL)
        assert all_end([processes[1]], within=PATIENCE)
        did = await asyncio.to_thread(undo, recovery)
        assert f"ended a process (pid {processes[0].pid})" in did
        assert did[-1] == f"removed {victims.supervised.scratch}"
        assert all_end(processes, within=PATIENCE)
        assert cgroups(victims.supervised.scratch) == []
        assert await asyncio.to_thread(undo, recovery) == []

    run(tmp_path, play)


def test_a_folder_that_is_no_scratch_folder_is_left_alone_with_who_works_in_it(tmp_path: Path) -> None:
    async def play(victims: Victims, processes: list[psutil.Process]) -> None:
        assert end_leftovers(victims.supervised.scratch.parent) == []
        # The third and the fourth have been told to end anyway.
        assert all(process.is_running() for process in (*processes[:2], *processes[4:]))

    run(tmp_path, play)


def test_a_signal_reaches_no_process_that_has_the_pid_by_now(tmp_path: Path) -> None:
    async def play() -> None:
        async with Victims.up(tmp_path, "one") as victims:
            pid = await victims.answers("one")
            process, member = psutil.Process(pid), family.look(pid)
            assert member is not None
            family.send(member._replace(started=member.started - 1), signal.SIGKILL)
            assert await victims.answers("one") == pid
            family.send(member, signal.SIGKILL)
            assert all_end([process], within=PATIENCE)

    asyncio.run(play())
