"""Blocks, and the memory behind them: pretended here, the machine's own further down."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from fakes import FakeMemory

from target_stack.inference.blocks import SLAB_BYTES, BlockPool, NoFreeBlocksError
from target_stack.inference.cuda import CudaMemory, NoCudaError
from target_stack.inference.memory import HostMemory, OutOfMemoryError, open_store
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings

BLOCK = SLAB_BYTES // 4


def test_memory_is_held_only_for_slabs_that_are_in_use() -> None:
    memory = FakeMemory(10 * SLAB_BYTES)
    pool = BlockPool(memory, blocks=10, block_bytes=BLOCK)
    assert (memory.held, pool.held_bytes) == (0, 0)
    blocks = pool.take(5)
    assert sorted(blocks) == [0, 1, 2, 3, 4]
    assert memory.held == pool.held_bytes == 2 * SLAB_BYTES
    pool.give(blocks[:4])
    assert memory.held == SLAB_BYTES
    assert sorted(pool.take(3)) == [5, 6, 7], "what has memory is used before more is allocated"
    assert memory.held == SLAB_BYTES


def test_the_last_slab_is_as_small_as_what_is_left() -> None:
    memory = FakeMemory(10 * SLAB_BYTES)
    pool = BlockPool(memory, blocks=5, block_bytes=BLOCK)
    pool.take(5)
    assert memory.held == 5 * BLOCK


def test_every_block_that_is_taken_has_been_written() -> None:
    memory = FakeMemory(SLAB_BYTES)
    pool = BlockPool(memory, blocks=4, block_bytes=BLOCK)
    pool.take(2)
    (piece,) = memory.pieces.values()
    assert piece.count(b"x") == 2 * BLOCK


def test_a_refusal_takes_nothing_and_holds_nothing() -> None:
    memory = FakeMemory(SLAB_BYTES)
    pool = BlockPool(memory, blocks=8, block_bytes=BLOCK)
    with pytest.raises(OutOfMemoryError):
        pool.take(5)
    assert (pool.used, memory.held) == (0, 0)
    assert len(pool.take(4)) == 4
    with pytest.raises(NoFreeBlocksError):
        pool.take(5)
    assert pool.used == 4


def test_a_block_cannot_be_given_back_twice() -> None:
    pool = BlockPool(FakeMemory(SLAB_BYTES), blocks=4, block_bytes=BLOCK)
    (block,) = pool.take(1)
    with pytest.raises(ValueError, match="not in use"):
        pool.give([block, block])
    pool.give([block])
    with pytest.raises(ValueError, match="not in use"):
        pool.give([block])


def resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_host_memory_is_there_once_it_is_written_and_gone_once_it_is_released() -> None:
    size = 32 * 2**20
    memory, before = HostMemory(), resident()
    handle = memory.allocate(size)
    assert resident() - before < size / 4, "not written yet"
    memory.write(handle, 0, size)
    assert resident() - before > 0.9 * size
    memory.release(handle)
    assert resident() - before < 1.5 * size, "one copy of the pattern may be left"


UNDER_A_LIMIT = """
import resource
from target_stack.inference.memory import HostMemory, OutOfMemoryError
memory = HostMemory()
with open("/proc/self/statm") as statm:
    limit = int(statm.read().split()[0]) * resource.getpagesize() + 64 * 2**20
resource.setrlimit(resource.RLIMIT_{limit}, (limit, resource.RLIM_INFINITY))
pieces = []
try:
    while True:
        pieces.append(memory.allocate(2 * 2**20))
        memory.write(pieces[-1], 0, 2 * 2**20)
except OutOfMemoryError as error:
    had = len(pieces)
    memory.release(pieces.pop())
    memory.write(memory.allocate(2 * 2**20), 0, 2 * 2**20)
    print(had, error)
"""


@pytest.mark.process
@pytest.mark.parametrize("limit", ["AS", "DATA"])
def test_a_process_with_too_little_memory_is_really_refused_and_can_go_on(limit: str) -> None:
    argv = [sys.executable, "-c", UNDER_A_LIMIT.replace("{limit}", limit)]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=True)
    had, _, message = done.stdout.partition(" ")
    assert 20 <= int(had) <= 60
    assert message.strip() == "the host has no 2097152 bytes more for the KV cache"


@pytest.mark.parametrize("library", ["libcuda-that-nobody-has.so.1", "libc.so.6"])
def test_a_machine_without_cuda_says_so(library: str) -> None:
    with pytest.raises(NoCudaError, match=r"cannot be loaded|no CUDA device"):
        CudaMemory(library=library)


def has_cuda() -> bool:
    try:
        CudaMemory()
    except NoCudaError:
        return False
    return True


def test_auto_takes_the_device_where_there_is_one_and_else_the_host() -> None:
    expected = "cuda" if has_cuda() else "host"
    assert open_store(Settings({"inference.memory": "auto"})).name == expected
    assert open_store(Settings({"inference.memory": "host"})).name == "host"


@pytest.mark.skipif(has_cuda(), reason="there is a CUDA device")
def test_asking_for_a_device_in_vain_is_told() -> None:
    with pytest.raises(ConfigurationError, match=r"'inference.memory' is 'cuda', but the CUDA driver .* cannot"):
        open_store(Settings({"inference.memory": "cuda"}))


@pytest.mark.skipif(not has_cuda(), reason="there is no CUDA device")
def test_device_memory_is_written_released_and_runs_out() -> None:
    memory = open_store(Settings({"inference.memory": "cuda"}))
    handle = memory.allocate(SLAB_BYTES)
    memory.write(handle, BLOCK, BLOCK)
    memory.release(handle)
    with pytest.raises(OutOfMemoryError, match="CUDA out of memory"):
        memory.allocate(2**50)
    memory.release(memory.allocate(SLAB_BYTES))
