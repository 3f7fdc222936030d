"""Killed, stopped, frozen, in a crash loop, slow to start: on a real process, and that healing makes it whole."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from brownout.breakage import CrashLoop, Freeze, Kill, SlowStart, Stop
from brownout.fixtures.embedded.supervisor import family
from tests.embedded.bench import on_a_victim
from tests.embedded.victims import SCALE, Victims, runs, states_of

pytestmark = pytest.mark.process


BACKOFF = 1.0 * SCALE


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
        assert BACKOFF <= proof.figures["back_after"] < 20 * BACKOFF
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
        await victims.heal()
        await victims.heal()
        await victims.answers("victim")
        assert (await victims.state("victim")).restarts == 1

    on_a_victim(play, tmp_path)


def test_a_stubborn_service_is_killed_when_its_grace_is_over(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        await talk("ignore")
        await victims.inject("victim", Stop(grace=1.0))
        assert await talk("pid") == await victims.answers("victim")
        await victims.until(lambda state: not state.up, "victim")
        proof = await victims.prove("victim", Stop(grace=1.0))
        assert proof.figures["exit_code"] == -signal.SIGKILL
        assert 1.0 <= proof.figures["exit_after"] < 10.0
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
        await victims.until(lambda state: state.restarts >= 3, "victim")
        # 1, 2 and 4 times the first wait, and the times for which it lived.
        assert 7 * BACKOFF + 0.1 <= time.monotonic() - started < 100 * BACKOFF
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
            await victims.answers("victim")

    on_a_victim(play, tmp_path)
