"""What every breakage of a service keeps to: its lease, its heal, and its refusals."""

import asyncio
import resource
import sys
from pathlib import Path

import pytest

from brownout.breakage import (
    Breakage,
    CapMemory,
    CrashLoop,
    Disconnect,
    Drain,
    Evict,
    ExhaustFds,
    ExhaustGpuMemory,
    FailImagePull,
    FailReadiness,
    FillDisk,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    RolloutRestart,
    ScaleToZero,
    SetMemoryLimit,
    SkewClock,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.errors import FaultError
from brownout.fixtures.embedded import processes, services, supervisor
from brownout.fixtures.embedded.supervisor import serve
from tests.embedded.bench import FAKETIME, MEMORY_CGROUPS, MIB, QUOTA, on_a_victim
from tests.embedded.victims import Victims, cgroups, states_of

pytestmark = pytest.mark.process


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
        await victims.inject("victim", breakage)
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
        assert (await victims.prove("victim", breakage)).figures["held"] == pytest.approx(5.0, abs=4.6)
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
        assert await victims.answers("victim", within=15.0) == pid
        # That nothing is known of it is no pass.
        assert not (await victims.prove("victim", Freeze())).works

    on_a_victim(play, tmp_path)


def test_every_breakage_of_a_service_is_done_by_the_supervisor_and_proved_by_the_target() -> None:
    kinds = {one.kind for one in Breakage.__subclasses__() if one.kind.startswith("service.")}
    of_containers_alone = {Disconnect.kind, FillDisk.kind}
    of_clusters_alone = {
        one.kind for one in (Drain, Evict, FailImagePull, FailReadiness, RolloutRestart, ScaleToZero, SetMemoryLimit)
    }
    assert kinds - of_containers_alone - of_clusters_alone == set(serve.KINDS) == services.KINDS
