"""Too little CPU, memory, descriptors, disk or the wrong time: on a real process, and that healing makes it whole."""

import asyncio
import os
import resource
import signal
import subprocess
import time
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from brownout.breakage import CapMemory, ExhaustFds, LimitFileSize, LimitMemory, SkewClock, SlowDisk, StarveCpu
from brownout.errors import FaultError
from brownout.fixtures.embedded import machine
from brownout.fixtures.embedded.supervisor import family
from brownout.fixtures.embedded.supervisor.breakages import Refused
from brownout.fixtures.embedded.supervisor.limits import Files, FileSize, Limit, Memory
from brownout.fixtures.embedded.supervisor.service import Service
from tests.embedded.bench import FAKETIME, MEMORY_CGROUPS, MIB, QUOTA, on_a_victim
from tests.embedded.helpers import PATIENCE
from tests.embedded.victims import Victims, cgroups, files

pytestmark = pytest.mark.process


@pytest.mark.parametrize("manner", [QUOTA, "duty-cycle"])
def test_a_starved_service_gets_its_share_of_the_cpu_and_no_more(tmp_path: Path, manner: str) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        pid = await talk("burn")

        async def used(seconds: float) -> float:
            before, started = family.family(pid)[0].cpu, time.monotonic()
            await asyncio.sleep(seconds)
            return (family.family(pid)[0].cpu - before) / (time.monotonic() - started)

        async with asyncio.timeout(PATIENCE):  # others may keep the machine busy
            while (whole := await used(0.5)) < 0.35:
                pass
        breakage = StarveCpu(share=0.2, manner="quota" if manner == "quota" else "duty-cycle")
        await victims.inject("victim", breakage)
        async with asyncio.timeout(PATIENCE):
            # Who stops it again and again comes late to it where others keep the machine busy.
            while not 0.02 < (share := await used(1.5)) < 0.3:
                pass
        assert share < whole
        async with asyncio.timeout(PATIENCE):
            # Whom others leave little to use is seldom throttled.
            while (proof := await victims.prove("victim", breakage)).figures["throttled"] <= 0.5:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        assert proof.works, proof.summary
        assert ("by a quota" in proof.summary) is (manner == "quota")
        await victims.heal()
        async with asyncio.timeout(PATIENCE):
            while await used(0.5) < 0.35:
                pass
        assert cgroups(victims.supervised.scratch) == []

    on_a_victim(play, tmp_path)


def test_without_room_an_allocation_fails_and_after_the_heal_it_does_not(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        breakage = LimitMemory(headroom=8 * MIB)
        await victims.inject("victim", breakage)
        assert await talk("allocate", 64 * MIB) == "MemoryError"
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["limit"] == proof.figures["used_before"] + 8 * MIB
        await victims.heal()
        assert isinstance(await talk("allocate", 64 * MIB), int)

    on_a_victim(play, tmp_path)


@MEMORY_CGROUPS
def test_beyond_its_cap_a_service_is_killed_by_the_kernel_which_counts_it_and_comes_back_under_the_cap(
    tmp_path: Path,
) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        await talk("allocate", 40 * MIB)
        breakage = CapMemory(headroom=20 * MIB)
        await victims.inject("victim", breakage)
        assert isinstance(await talk("allocate", 8 * MIB), int)
        with pytest.raises(OSError, match=r"^$|reset"):
            await talk("allocate", 32 * MIB)
        await victims.answers("victim")
        # As a container's, its limit is on all that it takes from its start.
        talk = await victims.talk("victim")
        assert isinstance(await talk("allocate", 40 * MIB), int)
        with pytest.raises(OSError, match=r"^$|reset"):
            await talk("allocate", 32 * MIB)
        await victims.answers("victim")
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["oom_kills"] == proof.figures["exits_by_sigkill"] == 2
        assert "the kernel killed 2 of its processes" in proof.summary
        assert 40 * MIB < proof.figures["used_before"] < 60 * MIB
        await victims.heal()
        talk = await victims.talk("victim")
        assert isinstance(await talk("allocate", 128 * MIB), int)
        assert cgroups(victims.supervised.scratch) == []

    on_a_victim(play, tmp_path)


def test_a_service_that_is_restarted_has_the_same_memory_limit(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        breakage = LimitMemory(headroom=16 * MIB)
        await victims.inject("victim", breakage)
        os.kill(await victims.answers("victim"), signal.SIGKILL)
        pid = await victims.answers("victim")
        talk = await victims.talk("victim")
        assert await talk("allocate", 128 * MIB) == "MemoryError"
        await victims.heal()
        assert resource.prlimit(pid, resource.RLIMIT_AS)[0] == resource.getrlimit(resource.RLIMIT_AS)[0]
        assert isinstance(await talk("allocate", 128 * MIB), int)

    on_a_victim(play, tmp_path)


@pytest.mark.parametrize("spare", [0, 2])
def test_without_descriptors_a_service_opens_nothing_more_and_keeps_what_it_has(tmp_path: Path, spare: int) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        pid = await talk("pid")
        # The connection by which it was asked whether it is up goes first.
        while files(pid) > 5:  # noqa: ASYNC110 - it is another process
            await asyncio.sleep(0.01)
        before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
        breakage = ExhaustFds(spare=spare)
        await victims.inject("victim", breakage)
        assert [await talk("open") for _ in range(spare + 1)] == [pid] * spare + ["EMFILE"]
        with pytest.raises(TimeoutError):
            await victims.pid("victim")
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["used_most"] == proof.figures["used_before"] + spare
        await victims.heal()
        assert resource.prlimit(pid, resource.RLIMIT_NOFILE) == before
        assert await victims.answers("victim") == await talk("open") == pid

    on_a_victim(play, tmp_path)


def test_a_restart_gives_a_service_its_descriptors_back(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        breakage = ExhaustFds()
        first = await victims.answers("victim")
        await victims.inject("victim", breakage)
        await asyncio.sleep(0.2)
        os.kill(first, signal.SIGKILL)
        assert await victims.answers("victim") != first
        assert (await victims.prove("victim", breakage)).works
        await victims.heal()

    on_a_victim(play, tmp_path)


def test_beyond_the_limit_no_file_is_written_and_after_the_heal_it_is(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        breakage = LimitFileSize(at_most=0)
        await victims.inject("victim", breakage)
        assert await talk("write", 10) == "EFBIG"
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        await victims.heal()
        assert isinstance(await talk("write", 10), int)

    on_a_victim(play, tmp_path)


@pytest.mark.skipif(SlowDisk.kind in machine.lacking(), reason=machine.lacking().get(SlowDisk.kind, ""))
def test_a_slow_disk_makes_those_wait_who_sync_and_nobody_else(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")

        async def takes(what: str, size: int) -> float:
            began = time.monotonic()
            await talk(what, size, patience=PATIENCE)
            return time.monotonic() - began

        async with asyncio.timeout(PATIENCE):  # others may keep the disk busy
            while await takes("sync", 200_000) > 0.4:
                pass
        breakage = SlowDisk(rate=200_000)
        await victims.inject("victim", breakage)
        assert not (await victims.prove("victim", breakage)).works
        assert await takes("write", 10 * MIB) < 25.0  # half of what it would be at that rate
        slow = await takes("sync", 200_000)
        assert slow > 0.8
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["moved"] >= 200_000
        await victims.heal()
        async with asyncio.timeout(PATIENCE):
            while await takes("sync", 200_000) > 0.4:
                pass
        assert cgroups(victims.supervised.scratch) == []

    on_a_victim(play, tmp_path)


@FAKETIME
@pytest.mark.parametrize("seconds", [3600.0, -90.5])
def test_a_skewed_clock_is_the_services_alone_and_ends_with_the_fault(tmp_path: Path, seconds: float) -> None:
    async def play(victims: Victims) -> None:
        first = await victims.answers("victim")
        breakage = SkewClock(seconds=seconds)
        await victims.inject("victim", breakage)
        await victims.until(lambda state: state.restarts == 1 and state.ready, "victim")
        with pytest.raises(FaultError, match="has another clock already"):
            await victims.inject("victim", breakage, lease="another")
        talk = await victims.talk("victim")
        wall, monotonic = await talk("clock")
        assert wall - time.time() == pytest.approx(seconds, abs=30.0)
        assert monotonic == pytest.approx(time.monotonic(), abs=30.0)
        # Whatever comes up in its place has that clock as well.
        os.kill(await victims.answers("victim"), signal.SIGKILL)
        await victims.until(lambda state: state.restarts == 2 and state.ready, "victim")
        talk = await victims.talk("victim")
        assert (await talk("clock"))[0] - time.time() == pytest.approx(seconds, abs=30.0)
        async with asyncio.timeout(PATIENCE):
            # It counts what two looks in a row have seen, a tenth of a second apart.
            while not (proof := await victims.prove("victim", breakage)).works:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        # It was asked to end, not killed.
        assert proof.figures["exit_code"] == 0
        await victims.heal()
        await victims.until(lambda state: state.restarts == 3 and state.ready, "victim")
        talk = await victims.talk("victim")
        assert (await talk("clock"))[0] - time.time() == pytest.approx(0.0, abs=30.0)
        assert await victims.answers("victim") != first

    on_a_victim(play, tmp_path)


@pytest.mark.parametrize("kind", [Files, FileSize, Memory])
def test_a_service_that_has_ended_but_is_not_reaped_yet_is_refused(kind: type[Limit]) -> None:
    with subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        service = SimpleNamespace(name="victim", child=SimpleNamespace(pid=ended.pid), limited=set())
        with pytest.raises(Refused, match="victim ended just now"):
            kind(cast("Service", service), "lease", {"headroom": 0, "spare": 0, "at_most": 0}, time.monotonic).begin()
        assert not service.limited
