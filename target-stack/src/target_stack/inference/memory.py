"""The memory behind the KV cache: really allocated, so that it can really run out.

Where there is no GPU it is this process's own memory, under whatever cap the process has: a limit on its address space
(RLIMIT_AS) refuses it, a cgroup's limit kills. With a GPU it is CUDA memory (`target_stack.inference.cuda`).
"""

import errno
import mmap
from typing import Protocol

from target_stack.inference.cuda import CudaMemory, NoCudaError
from target_stack.setting import ConfigurationError
from target_stack.settings import Settings

__all__ = ["BlockStore", "HostMemory", "OutOfMemoryError", "open_store"]


class OutOfMemoryError(Exception):
    """The host or the device has no more memory to give."""


class BlockStore(Protocol):
    """Memory in pieces of a size that the caller chooses. A handle is good until it is released."""

    name: str

    def allocate(self, size: int) -> int:
        """Return a handle of `size` fresh bytes; raise OutOfMemoryError."""

    def write(self, handle: int, offset: int, size: int) -> None:
        """Write `size` bytes at `offset`: only memory that was written is really there. Raises OutOfMemoryError."""

    def release(self, handle: int) -> None:
        """Give the memory back."""


class HostMemory:
    """Anonymous private mappings of this process, one for each piece."""

    name = "host"

    def __init__(self) -> None:
        self._maps: dict[int, mmap.mmap] = {}
        self._next = 0
        self._contents = b""

    def allocate(self, size: int) -> int:
        try:
            mapped = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        except (OSError, MemoryError) as error:
            if isinstance(error, OSError) and error.errno != errno.ENOMEM:
                raise
            msg = f"the host has no {size} bytes more for the KV cache"
            raise OutOfMemoryError(msg) from error
        self._next += 1
        self._maps[self._next] = mapped
        return self._next

    def write(self, handle: int, offset: int, size: int) -> None:
        if len(self._contents) != size:
            # Not zeros, which the kernel could share.
            self._contents = b"\xa5" * size
        self._maps[handle][offset : offset + size] = self._contents

    def release(self, handle: int) -> None:
        self._maps.pop(handle).close()


class _Cuda:
    """Device memory, with its one error that is no accident told apart."""

    name = "cuda"

    def __init__(self, cuda: CudaMemory) -> None:
        self._cuda = cuda

    def allocate(self, size: int) -> int:
        address = self._cuda.allocate(size)
        if address is None:
            msg = f"CUDA out of memory: the device has no {size} bytes more for the KV cache"
            raise OutOfMemoryError(msg)
        return address

    def write(self, handle: int, offset: int, size: int) -> None:
        self._cuda.fill(handle + offset, size)

    def release(self, handle: int) -> None:
        self._cuda.free(handle)


def open_store(settings: Settings) -> BlockStore:
    """Return the store that `inference.memory` asks for; raise ConfigurationError where a GPU is asked for in vain."""
    wanted = settings.text("inference.memory")
    if wanted != "host":
        try:
            return _Cuda(CudaMemory())
        except NoCudaError as error:
            if wanted == "cuda":
                msg = f"setting 'inference.memory' is 'cuda', but {error}"
                raise ConfigurationError(msg) from None
    return HostMemory()
