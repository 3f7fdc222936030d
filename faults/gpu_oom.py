"""An inference worker runs out of GPU memory."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Literal

from brownout.breakage import ExhaustGpuMemory
from brownout.fault import fault
from brownout.system import ServiceName, System
from brownout.units import Size

_LITTLE = Size(64 * 2**20)


@fault
@asynccontextmanager
async def gpu_oom(
    system: System,
    *,
    service: ServiceName,
    leave: Size = _LITTLE,
    memory: Literal["gpu", "host"] | None = None,
    device: int = 0,
) -> AsyncIterator[None]:
    """Leave an inference worker no more memory for its KV cache than a little.

    On a GPU, a process of its own takes the device's free memory by plain allocations (CUDA driver API) until only so
    much is left, as a greedy neighbour does; what the worker asks for beyond that is a real CUDA out-of-memory. It is
    given back when the fault ends, or with that process, however it ends.

    Without a GPU the worker's host memory stands in: a limit on its address space (RLIMIT_AS) leaves it so much more
    than it has, and what it asks for beyond that is refused, as on a GPU. For a worker that is killed instead, see
    `memory_pressure`. The fault's proof says which of the two it was.

    Args:
        service: whose memory it is. Everybody on the same device is short of it.
        leave: what is left.
        memory: which memory; where it is not said, the GPU's if this machine has one that can be used.
        device: which GPU, by CUDA's number, as the service counts.
    """
    if device < 0:
        msg = "device must not be negative"
        raise ValueError(msg)
    async with system.service(service).broken(ExhaustGpuMemory(leave=leave, memory=memory, device=device)):
        yield
