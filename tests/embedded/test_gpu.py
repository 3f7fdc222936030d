"""Memory of a GPU is taken until little is left; where there is no GPU, the host's stands in and the proof says so."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.breakage import ExhaustGpuMemory, Stop
from brownout.errors import FaultError
from brownout.fixtures.embedded.supervisor import hog
from brownout.fixtures.embedded.supervisor.hog import GRANULE, LARGEST, next_size, take
from tests.embedded.helpers import PATIENCE, descendants
from tests.embedded.victims import Victims

MIB, GIB = 2**20, 2**30
DRIVER = """
#include <stddef.h>
#include <stdint.h>
/* 10 GiB, of which 3 GiB and 5 MiB are free, in pieces of no more than 512 MiB. */
static size_t available = (3UL << 30) + (5UL << 20);
int cuInit(unsigned flags) { return flags; }
int cuDeviceGetCount(int *count) { *count = 1; return 0; }
int cuDeviceGet(int *handle, int number) { *handle = 7 + number; return 0; }
int cuDevicePrimaryCtxRetain(void **context, int handle) { *context = (void *)0x1234; return handle != 7; }
int cuCtxSetCurrent(void *context) { return context != (void *)0x1234; }
int cuMemGetInfo_v2(size_t *available_, size_t *total) { *available_ = available; *total = 10UL << 30; return 0; }
int cuMemAlloc_v2(uint64_t *address, size_t size) {
    if (size > (512UL << 20) || size > available) return 2;
    available -= size;
    *address = 0x7f0000000000UL;
    return 0;
}
"""


def ask_hog(leave: int, device: int = 0) -> dict[str, Any]:
    argv = [sys.executable, "-I", "-S", hog.__file__, str(leave), str(device)]
    said = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=True, timeout=60).stdout
    return dict(json.loads(said))


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A CUDA driver of our own, with the calls that we make: what is done by ctypes is done for real."""
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler on PATH")
    (tmp_path / "driver.c").write_text(DRIVER)
    library = tmp_path / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "driver.c"], check=True)
    monkeypatch.setenv("LD_LIBRARY_PATH", str(tmp_path))


@pytest.fixture
def no_gpu() -> None:
    if "absent" not in ask_hog(2**50):
        pytest.skip("there is a GPU here")


def on_a_victim(play: Callable[[Victims], Awaitable[None]], logs: Path) -> None:
    async def run() -> None:
        async with Victims.up(logs, "victim") as victims:
            await play(victims)

    asyncio.run(run())


class Pieces:
    """Memory that lies in pieces, of which some others may be taken meanwhile."""

    def __init__(self, pieces: list[int], stolen: int) -> None:
        self.pieces = [piece * GRANULE for piece in pieces]
        self.stolen = stolen * GRANULE

    def free(self) -> int:
        return sum(self.pieces)

    def allocate(self, size: int) -> bool:
        assert size > 0
        if self.stolen and self.pieces:
            self.pieces[-1] -= min(self.stolen, self.pieces[-1])
            self.stolen = 0
        fitting = [index for index, piece in enumerate(self.pieces) if piece >= size]
        if fitting:
            self.pieces[fitting[0]] -= size
        return bool(fitting)


@given(st.lists(st.integers(1, 2000), max_size=20), st.integers(0, 8 * GIB), st.integers(0, 100))
def test_all_but_what_shall_be_left_is_taken_however_it_lies(pieces: list[int], leave: int, stolen: int) -> None:
    memory = Pieces(pieces, stolen)
    free = memory.free()
    taken = take(memory, leave)
    assert taken <= free
    assert memory.free() >= min(leave, free) - stolen * GRANULE
    # No granule more can be taken, because of what shall be left or because no piece has one.
    assert next_size(memory.free(), leave, LARGEST) == 0 or not any(memory.pieces)


@given(st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40))
def test_an_allocation_is_whole_granules_and_leaves_enough(free: int, leave: int, largest: int) -> None:
    size = next_size(free, leave, largest)
    assert size % GRANULE == 0
    assert 0 <= size <= largest
    assert size == 0 or free - size >= leave


@pytest.mark.process
@pytest.mark.usefixtures("no_gpu")
def test_without_a_gpu_the_service_is_refused_host_memory_and_the_proof_says_so(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        talk = await victims.talk("victim")
        breakage = ExhaustGpuMemory(leave=8 * MIB)
        await victims.inject("victim", breakage)
        assert await talk("allocate", 64 * MIB) == "MemoryError"
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["gpu"] == 0
        assert proof.summary.startswith("victim: no GPU, so host memory: at most ")
        await victims.heal()
        assert isinstance(await talk("allocate", 64 * MIB), int)

    on_a_victim(play, tmp_path)


@pytest.mark.process
@pytest.mark.usefixtures("no_gpu")
def test_a_gpu_that_is_asked_for_and_not_there_is_refused_with_the_reason(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        with pytest.raises(FaultError, match=r"no GPU memory can be taken: .*(no CUDA driver|finds no device)"):
            await victims.inject("victim", ExhaustGpuMemory(leave=8 * MIB, memory="gpu"))
        assert victims.supervised.process is not None
        assert len(descendants(victims.supervised.process.pid)) == 1
        await victims.heal()

    on_a_victim(play, tmp_path)


@pytest.mark.process
@pytest.mark.usefixtures("driver")
def test_device_memory_is_held_by_a_process_until_the_heal_even_while_services_come_and_go(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        breakage = ExhaustGpuMemory(leave=64 * MIB)
        first = await victims.answers("victim")
        await victims.inject("victim", breakage)
        os.kill(first, signal.SIGKILL)
        await victims.until(lambda state: state.restarts == 1 and state.ready, "victim")
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        # 3 GiB and 5 MiB, of which 64 MiB and what is no whole granule are left.
        assert proof.figures["gpu"] == 1
        assert (proof.figures["took"], proof.figures["left"]) == (3012 * MIB, 65 * MIB)
        assert "2.94 GiB of GPU memory taken, 65 MiB of 10 GiB left for" in proof.summary
        assert victims.supervised.process is not None
        (held,) = [one for one in descendants(victims.supervised.process.pid) if hog.__file__ in one.cmdline()]
        await victims.heal()
        assert not held.is_running()

    on_a_victim(play, tmp_path)


@pytest.mark.process
@pytest.mark.usefixtures("driver")
def test_device_memory_is_given_back_when_the_lease_lapses_and_when_the_supervisor_is_killed(tmp_path: Path) -> None:
    async def play(victims: Victims) -> None:
        assert victims.supervised.process is not None
        supervisor = victims.supervised.process.pid
        for ttl in (1.0, 60.0):
            await victims.inject("victim", ExhaustGpuMemory(leave=GIB), ttl=ttl, lease=f"ttl-{ttl}")
            (held,) = [one for one in descendants(supervisor) if hog.__file__ in one.cmdline()]
            if ttl > 1.0:
                os.kill(supervisor, signal.SIGKILL)
            await asyncio.to_thread(held.wait, PATIENCE)

    on_a_victim(play, tmp_path)


@pytest.mark.process
@pytest.mark.usefixtures("driver")
def test_a_device_that_is_not_there_is_refused_and_a_service_that_is_down_too(tmp_path: Path) -> None:
    assert ask_hog(0, device=1) == {"absent": "there is no CUDA device 1; there are 1"}

    async def play(victims: Victims) -> None:
        with pytest.raises(FaultError, match="no CUDA device 3"):
            await victims.inject("victim", ExhaustGpuMemory(leave=0, memory="gpu", device=3))
        await victims.inject("victim", Stop(grace=0.0), lease="stop")
        await victims.until(lambda state: state.pid is None, "victim")
        with pytest.raises(FaultError, match="does not run just now"):
            await victims.inject("victim", ExhaustGpuMemory(leave=0))
        await victims.heal("stop")

    on_a_victim(play, tmp_path)


@pytest.mark.process
def test_on_a_gpu_little_is_left_and_nobody_else_can_have_more(tmp_path: Path) -> None:
    before = ask_hog(2**50)
    if "absent" in before:
        pytest.skip(f"no GPU to use here: {before['absent']}")

    async def play(victims: Victims) -> None:
        breakage = ExhaustGpuMemory(leave=GIB, memory="gpu")
        await victims.inject("victim", breakage)
        proof = await victims.prove("victim", breakage)
        assert proof.works, proof.summary
        assert proof.figures["left"] < GIB + 2 * GRANULE
        # Another process has less to take than what was left.
        assert ask_hog(0)["took"] <= GIB + GRANULE
        await victims.heal()
        assert ask_hog(2**50)["free"] >= before["free"] - GIB

    on_a_victim(play, tmp_path)
