"""Paged KV cache: a fixed number of blocks, with real memory behind those that are in use.

Blocks lie in slabs of 2 MiB, the granularity in which a CUDA driver hands out device memory. A slab is allocated when
the first of its blocks is taken and given back when the last of them is free, so what the cache holds is what it needs
just now: memory that somebody else takes away is missed at once, and found again as soon as it is back.
(vLLM takes all of its cache at the start, and meets the same shortage in its activations instead.)
"""

from collections.abc import Iterable

from target_stack.inference.memory import BlockStore, OutOfMemoryError

__all__ = ["BlockPool", "NoFreeBlocksError"]

SLAB_BYTES = 2 * 2**20


class NoFreeBlocksError(Exception):
    """All blocks are in use."""


class _Slab:
    def __init__(self, blocks: Iterable[int]) -> None:
        # From the lowest, so that what was written before is written again.
        self.free = sorted(blocks, reverse=True)
        self.first = self.free[-1]
        self.blocks = len(self.free)
        self.handle: int | None = None


class BlockPool:
    """Gives out blocks by number, 0 to `blocks` - 1. `block_bytes` is the size of one."""

    def __init__(self, store: BlockStore, *, blocks: int, block_bytes: int) -> None:
        self.blocks = blocks
        self._store = store
        self._block_bytes = block_bytes
        self._per_slab = max(SLAB_BYTES // block_bytes, 1)
        starts = range(0, blocks, self._per_slab)
        self._slabs = [_Slab(range(start, min(start + self._per_slab, blocks))) for start in starts]
        self._used: set[int] = set()

    @property
    def used(self) -> int:
        """Number of blocks in use."""
        return len(self._used)

    @property
    def held_bytes(self) -> int:
        """Memory allocated just now, in bytes."""
        return sum(slab.blocks * self._block_bytes for slab in self._slabs if slab.handle is not None)

    def take(self, count: int) -> list[int]:
        """Return `count` blocks whose memory is there.

        Raises NoFreeBlocksError when there are not so many, OutOfMemoryError when the memory for them cannot be had;
        then none is taken.
        """
        if count > self.blocks - self.used:
            msg = f"{count} blocks asked for, {self.blocks - self.used} free"
            raise NoFreeBlocksError(msg)
        taken: list[int] = []
        try:
            while len(taken) < count:
                slab = self._with_room()
                wanted = min(count - len(taken), len(slab.free))
                taken += (slab.free.pop() for _ in range(wanted))
            for block in taken:
                self._write(block)
        except OutOfMemoryError:
            self._put_back(taken)
            raise
        self._used.update(taken)
        return taken

    def give(self, blocks: Iterable[int]) -> None:
        """Take blocks back; raise ValueError for one that is not in use."""
        blocks = list(blocks)
        if len(set(blocks)) != len(blocks) or not self._used.issuperset(blocks):
            msg = "a block was given back that is not in use"
            raise ValueError(msg)
        self._used.difference_update(blocks)
        self._put_back(blocks)

    def _with_room(self) -> _Slab:
        """The first slab that has memory and a free block; else the first without memory, which is given some."""
        fresh: _Slab | None = None
        for slab in self._slabs:
            if slab.free and slab.handle is not None:
                return slab
            if slab.handle is None and fresh is None:
                fresh = slab
        assert fresh is not None  # noqa: S101 -- `take` has counted the free blocks
        fresh.handle = self._store.allocate(fresh.blocks * self._block_bytes)
        return fresh

    def _write(self, block: int) -> None:
        slab = self._slab_of(block)
        assert slab.handle is not None  # noqa: S101 -- it has just been allocated
        self._store.write(slab.handle, (block - slab.first) * self._block_bytes, self._block_bytes)

    def _put_back(self, blocks: list[int]) -> None:
        for block in blocks:
            slab = self._slab_of(block)
            slab.free.append(block)
            if len(slab.free) == slab.blocks and slab.handle is not None:
                self._store.release(slab.handle)
                slab.handle = None

    def _slab_of(self, block: int) -> _Slab:
        return self._slabs[block // self._per_slab]
