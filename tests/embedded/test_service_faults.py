"""Each breakage of a service, on a real process: what it does, what is seen of it, and that healing makes whole."""

import asyncio
import os
import resource
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from brownout.breakage import (
    Breakage,
    CapMemory,
    CrashLoop,
    ExhaustFds,
    ExhaustGpuMemory,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    SkewClock,
    SlowDisk,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.errors import FaultError
from brownout.fixtures.embedded import machine, processes, services, supervisor
from brownout.fixtures.embedded.supervisor import cgroups as groups
from brownout.fixtures.embedded.supervisor import family, serve
from tests.embedded.victims import SCALE, Victims, cgroups, files, runs, states_of

pytestmark = pytest.mark.process

MIB = 2**20
BACKOFF = 1.0 * SCALE
QUOTA = pytest.param(
    "quota",
    marks=pytest.mark.skipif(groups.lacking("cpu") is not None, reason=groups.lacking("cpu") or ""),
)
MEMORY_CGROUPS = pytest.mark.skipif(groups.lacking("memory") is not None, reason=groups.lacking("memory") or "")


FAKETIME = pytest.mark.skipif(SkewClock.kind in machine.lacking(), reason=machine.lacking().get(SkewClock.kind, ""))


def on_a_victim(play: Callable[[Victims], Awaitable[None]], logs: Path) -> None:
    async def run() -> None:
        async with Victims.up(logs, "victim") as victims:
            await play(victims)

    asyncio.run(run())


def test_a_killed_service_goes_with_all_that_it_started_and_comes_back_on_its_port(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        child = await talk("spawn")
        before = await victims.state("victim")
        assert (before.up, before.ready, before.restarts) == (True, True, 0)
        assert before.pid is not None
        killed = time.monotonic()
        await victims.inject("victim", Kill())
        with pytest.raises(OSError, match=r"^$|reset"):
            await talk("pid")
        after = await victims.answers("victim")
        assert time.monotonic() - killed >= BACKOFF
        assert after != before.pid
        assert not runs(before.pid)
        assert not runs(child)
        proof = await victims.prove("victim", Kill())
        await victims.heal()
        assert proof.works
        assert proof.summary.startswith("victim: its process was ended by SIGKILL after ")
        assert proof.figures["exits_by_sigkill"] == proof.figures["restarts"] == 1
        assert BACKOFF <= proof.figures["back_after"] < BACKOFF + 0.2
        state = await victims.state("victim")
        assert (state.pid, state.up, state.ready, state.restarts) == (after, True, True, 1)
        assert state.since > before.since

    on_a_victim(play, tmp_path)


def test_a_service_that_dies_by_itself_is_started_again_as_well(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        first = await victims.answers("victim")
        os.kill(first, signal.SIGSEGV)
        state = await victims.until(lambda state: state.restarts == 1 and state.ready, "victim")
        assert state.pid != first

    on_a_victim(play, tmp_path)


def test_a_stopped_service_ends_in_its_own_way_and_stays_down_until_it_is_healed(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        await victims.inject("victim", Stop(grace=5.0))
        state = await victims.until(lambda state: not state.up, "victim")
        assert state.pid is None
        await asyncio.sleep(3 * BACKOFF)
        assert await victims.silent("victim")
        proof = await victims.prove("victim", Stop(grace=5.0))
        assert proof.works
        assert "exited with status 0 after" in proof.summary
        assert proof.figures["down"] >= 3 * BACKOFF
        healed = time.monotonic()
        await victims.heal()
        await victims.heal()
        await victims.answers("victim")
        assert time.monotonic() - healed < BACKOFF + 0.5
        assert (await victims.state("victim")).restarts == 1

    on_a_victim(play, tmp_path)


def test_a_stubborn_service_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        await talk("ignore")
        await victims.inject("victim", Stop(grace=0.3))
        assert await talk("pid") == await victims.answers("victim")
        await victims.until(lambda state: not state.up, "victim")
        proof = await victims.prove("victim", Stop(grace=0.3))
        assert proof.figures["exit_code"] == -signal.SIGKILL
        assert 0.3 <= proof.figures["exit_after"] < 0.6
        await victims.heal()
        await victims.answers("victim")

    on_a_victim(play, tmp_path)


def test_a_stop_that_is_healed_before_the_service_has_ended_leaves_a_whole_one(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        old = await talk("ignore")
        await victims.inject("victim", Stop(grace=60.0))
        await victims.heal()
        state = await victims.until(lambda state: state.restarts == 1 and state.ready, "victim")
        assert state.pid != old

    on_a_victim(play, tmp_path)


def test_a_frozen_service_keeps_its_connections_and_its_whole_family_is_stopped(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        child = await talk("spawn")
        pid = await talk("pid")
        await victims.inject("victim", Freeze())
        assert states_of(pid) == {"T"}
        assert family.look(child) is not None
        with pytest.raises(TimeoutError):
            await talk("pid", patience=0.5)
        state = await victims.state("victim")
        assert (state.pid, state.up, state.ready) == (pid, False, False)
        proof = await victims.prove("victim", Freeze())
        assert proof.works, proof.summary
        assert proof.figures["stopped"] >= 0.9 * proof.figures["held"] > 0.4
        assert proof.figures["processes"] == 2
        assert "stopped (state T) for" in proof.summary
        await victims.heal()
        assert "T" not in states_of(pid)
        # The question that was asked meanwhile is answered first.
        assert [await talk("pid"), await talk("pid")] == [pid, pid]
        assert (await victims.state("victim")).restarts == 0

    on_a_victim(play, tmp_path)


def test_a_frozen_service_that_is_killed_and_restarted_is_frozen_again_and_healed_as_who_it_is_then(
    tmp_path: Path,
) -> None:
    async def play(victims: Victims) -> None:
        first = await victims.answers("victim")
        await victims.inject("victim", Freeze())
        os.kill(first, signal.SIGKILL)
        state = await victims.until(lambda state: state.restarts == 1, "victim")
        assert state.pid is not None
        assert states_of(state.pid) == {"T"}
        assert not state.up
        await asyncio.sleep(0.5)
        proof = await victims.prove("victim", Freeze())
        assert proof.works, proof.summary
        assert "was ended by SIGKILL" in proof.summary
        await victims.heal()
        assert await victims.answers("victim") == state.pid

    on_a_victim(play, tmp_path)


def test_a_crash_loop_waits_longer_each_time_and_ends_when_healed(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        breakage = CrashLoop(up_for=0.05)
        started = time.monotonic()
        await victims.inject("victim", breakage)
        await victims.until(lambda state: state.restarts == 3, "victim")
        # 1, 2 and 4 times the first wait, and the times for which it lived.
        assert 7 * BACKOFF + 0.1 <= time.monotonic() - started < 7 * BACKOFF + 1.0
        proof = await victims.prove("victim", breakage)
        assert proof.works
        assert proof.figures["kills"] >= 3
        await victims.heal()
        pid = await victims.answers("victim")
        restarts = (await victims.state("victim")).restarts
        await asyncio.sleep(0.3)
        assert (await victims.answers("victim"), (await victims.state("victim")).restarts) == (pid, restarts)

    on_a_victim(play, tmp_path)


def test_a_slow_start_puts_the_restart_off_and_healing_cuts_the_wait_short(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        for delay, cut_short in ((0.4, False), (60.0, True)):
            breakage = SlowStart(delay=delay)
            await victims.inject("victim", breakage, lease="slow")
            killed = time.monotonic()
            await victims.inject("victim", Kill(), lease="kill")
            if cut_short:
                await asyncio.sleep(5 * BACKOFF)
                assert await victims.silent("victim")
            else:
                await victims.answers("victim")
                assert time.monotonic() - killed >= BACKOFF + delay
            proof = await victims.prove("victim", breakage, lease="slow")
            assert proof.works, proof.summary
            assert proof.figures["held_back"] >= min(delay, BACKOFF)
            await victims.heal("kill")
            await victims.heal("slow")
            await victims.answers("victim", within=1.0)

    on_a_victim(play, tmp_path)


@pytest.mark.parametrize("manner", [QUOTA, "duty-cycle"])
def test_a_starved_service_gets_its_share_of_the_cpu_and_no_more(tmp_path: Path, manner: str) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        pid = await talk("burn")

        async def used(seconds: float) -> float:
            before, started = family.family(pid)[0].cpu, time.monotonic()
            await asyncio.sleep(seconds)
            return (family.family(pid)[0].cpu - before) / (time.monotonic() - started)

        whole = await used(0.5)
        breakage = StarveCpu(share=0.2, manner="quota" if manner == "quota" else "duty-cycle")
        await victims.inject("victim", breakage)
        share = await used(1.5)
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert 0.02 < share < 0.3
        assert share < whole
        assert proof.figures["throttled"] > 0.5
        assert ("by a quota" in proof.summary) is (manner == "quota")
        await victims.heal()
        async with asyncio.timeout(10.0):  # others may keep the machine busy
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
            await talk(what, size, patience=30.0)
            return time.monotonic() - began

        before = await takes("sync", 200_000)
        breakage = SlowDisk(rate=200_000)
        await victims.inject("victim", breakage)
        assert not (await victims.prove("victim", breakage)).works
        assert await takes("write", 10 * MIB) < 1.0
        slow = await takes("sync", 200_000)
        assert slow > max(0.8, 2 * before)
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["moved"] >= 200_000
        await victims.heal()
        assert await takes("sync", 200_000) < slow / 2
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
        assert wall - time.time() == pytest.approx(seconds, abs=2.0)
        assert monotonic == pytest.approx(time.monotonic(), abs=1.0)
        # Whatever comes up in its place has that clock as well.
        os.kill(await victims.answers("victim"), signal.SIGKILL)
        await victims.until(lambda state: state.restarts == 2 and state.ready, "victim")
        talk = await victims.talk("victim")
        assert (await talk("clock"))[0] - time.time() == pytest.approx(seconds, abs=2.0)
        async with asyncio.timeout(5):
            # It counts what two looks in a row have seen, a tenth of a second apart.
            while not (proof := await victims.prove("victim", breakage)).works:  # noqa: ASYNC110 - nobody tells
                await asyncio.sleep(0.05)
        # It was asked to end, not killed.
        assert proof.figures["exit_code"] == 0
        await victims.heal()
        await victims.until(lambda state: state.restarts == 3 and state.ready, "victim")
        talk = await victims.talk("victim")
        assert (await talk("clock"))[0] - time.time() == pytest.approx(0.0, abs=2.0)
        assert await victims.answers("victim") != first

    on_a_victim(play, tmp_path)


LAPSING = [
    Kill(),
    Stop(grace=0.0),
    Freeze(),
    CrashLoop(up_for=0.05),
    SlowStart(delay=0.1),
    StarveCpu(share=0.1, manner="duty-cycle"),
    pytest.param(StarveCpu(share=0.1, manner="quota"), marks=QUOTA.marks),
    pytest.param(CapMemory(headroom=64 * MIB), marks=MEMORY_CGROUPS),
    LimitMemory(headroom=0),
    ExhaustGpuMemory(leave=0, memory="host"),
    ExhaustFds(),
    LimitFileSize(at_most=0),
    pytest.param(SkewClock(seconds=60.0), marks=FAKETIME),
]


@pytest.mark.parametrize("breakage", LAPSING, ids=lambda breakage: f"{breakage.kind}-{getattr(breakage, 'manner', '')}")
def test_a_breakage_whose_lease_is_not_renewed_is_healed_by_the_supervisor_itself(
    tmp_path: Path, breakage: Breakage
) -> None:
    async def play(victims: Victims) -> None:
        limits = (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)
        pid = await victims.answers("victim")
        before = [resource.prlimit(pid, one) for one in limits]
        await victims.inject("victim", breakage, ttl=0.4)
        await victims.services.renew("lease", ttl=0.4)
        await asyncio.sleep(0.5)
        with pytest.raises(FaultError, match="lapsed before it was renewed"):
            await victims.services.renew("lease", ttl=5.0)
        pid = await victims.answers("victim")
        restarts = (await victims.state("victim")).restarts
        await asyncio.sleep(0.3)
        assert (await victims.answers("victim"), (await victims.state("victim")).restarts) == (pid, restarts)
        assert [resource.prlimit(pid, one) for one in limits] == before
        assert "T" not in states_of(pid)
        assert cgroups(victims.supervised.scratch) == []
        # Whoever held it may still ask what it did, and heal it.
        assert (await victims.prove("victim", breakage)).figures["held"] == pytest.approx(0.4, abs=0.1)
        await victims.heal()

    on_a_victim(play, tmp_path)


@pytest.mark.parametrize(
    "breakage",
    [Freeze(), StarveCpu(share=0.2), LimitMemory(headroom=0), ExhaustFds(), LimitFileSize(at_most=0), SlowStart(0.2)],
    ids=lambda breakage: breakage.kind,
)
def test_healing_a_service_that_is_gone_just_then_is_no_error_and_it_comes_back_whole(
    tmp_path: Path, breakage: Breakage
) -> None:
    async def play(victims: Victims) -> None:
        await victims.inject("victim", breakage)
        await victims.inject("victim", Stop(grace=0.0), lease="stop")
        await victims.until(lambda state: state.pid is None, "victim")
        await victims.heal()
        await victims.heal("stop")
        pid = await victims.answers("victim")
        assert "T" not in states_of(pid)
        assert cgroups(victims.supervised.scratch) == []

    on_a_victim(play, tmp_path)


def test_two_faults_on_one_service_end_independently(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        await victims.inject("victim", Freeze(), lease="one")
        await victims.inject("victim", Freeze(), lease="two")
        await victims.inject("victim", StarveCpu(share=0.5, manner="duty-cycle"), lease="three")
        await victims.heal("one")
        await asyncio.sleep(0.3)
        assert await victims.silent("victim")
        await victims.heal("two")
        await victims.answers("victim")
        await victims.heal("three")

    on_a_victim(play, tmp_path)


@pytest.mark.parametrize("breakage", [LimitMemory(headroom=0), ExhaustFds(), LimitFileSize(at_most=0)])
def test_a_second_limit_of_the_same_kind_is_refused_and_the_first_is_put_back(
    tmp_path: Path, breakage: Breakage
) -> None:
    async def play(victims: Victims) -> None:
        limits = (resource.RLIMIT_AS, resource.RLIMIT_NOFILE, resource.RLIMIT_FSIZE)
        pid = await victims.answers("victim")
        before = [resource.prlimit(pid, one) for one in limits]
        for _ in range(2):
            await victims.inject("victim", breakage, lease="one")
            with pytest.raises(FaultError, match="has such a limit from another fault"):
                await victims.inject("victim", breakage, lease="two")
            await victims.heal("two")
            await victims.heal("one")
            assert [resource.prlimit(pid, one) for one in limits] == before

    on_a_victim(play, tmp_path)


def test_what_cannot_be_done_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        with pytest.raises(FaultError, match="no service nobody"):
            await victims.inject("nobody", Kill())
        await victims.inject("victim", Stop(grace=0.0), lease="stop")
        await victims.until(lambda state: state.pid is None, "victim")
        for breakage in (Kill(), Freeze(), ExhaustFds()):
            with pytest.raises(FaultError, match="victim does not run just now"):
                await victims.inject("victim", breakage)
            assert not (await victims.prove("victim", breakage)).works
        with pytest.raises(FaultError, match="holds something already"):
            await victims.inject("victim", Stop(grace=0.0), lease="stop")
        await victims.heal("stop")
        await victims.answers("victim")

    on_a_victim(play, tmp_path)


UNREADABLE = """
import sys
sys.path.append({folder!r})
from supervisor import breakages, serve

class Unreadable(breakages.Freeze):
    def figures(self):
        raise OSError("they cannot be read")

serve.KINDS[Unreadable.kind] = Unreadable
serve.main()
"""


@pytest.mark.parametrize("ttl", [30.0, 1.5])
def test_a_breakage_whose_figures_cannot_be_read_is_healed_regardless(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ttl: float
) -> None:
    folder = Path(supervisor.__file__).parent.parent
    program = (sys.executable, "-I", "-S", "-c", UNREADABLE.format(folder=str(folder)))
    monkeypatch.setattr(processes, "SUPERVISOR", program)

    async def play(victims: Victims) -> None:
        pid = await victims.answers("victim")
        await victims.inject("victim", Freeze(), ttl=ttl)
        assert await victims.silent("victim")
        with pytest.raises(FaultError, match="they cannot be read"):
            await victims.prove("victim", Freeze())
        if ttl > 5.0:
            await victims.heal()
        # Or its lease ends it.
        assert await victims.answers("victim", within=3.0) == pid
        # That nothing is known of it is no pass.
        assert not (await victims.prove("victim", Freeze())).works

    on_a_victim(play, tmp_path)


def test_every_breakage_of_a_service_is_done_by_the_supervisor_and_proved_by_the_target() -> None:
    kinds = {one.kind for one in Breakage.__subclasses__() if one.kind.startswith("service.")}
    assert kinds == set(serve.KINDS) == services.KINDS
