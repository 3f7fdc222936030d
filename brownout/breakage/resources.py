"""A service lacks what it works with: processor, memory, files, disk."""

from dataclasses import dataclass
from typing import ClassVar, Literal

from brownout.breakage.model import Breakage


@dataclass(frozen=True, slots=True)
class StarveCpu(Breakage):
    """A service gets no more than a `share` of one core, 0.0 to 1.0."""

    kind: ClassVar[str] = "service.starve_cpu"
    share: float
    manner: Literal["quota", "duty-cycle"] | None = None
    """`quota`: the kernel's own limit; `duty-cycle`: stopped for the rest of each 100 ms. None: what can be done."""

    @property
    def capability(self) -> str:
        return self.kind if self.manner is None else f"{self.kind}.{self.manner}"


@dataclass(frozen=True, slots=True)
class CapMemory(Breakage):
    """Of a service that takes `headroom` bytes more than it has, the kernel kills a process."""

    kind: ClassVar[str] = "service.cap_memory"
    headroom: int


@dataclass(frozen=True, slots=True)
class LimitMemory(Breakage):
    """No process of a service can have `headroom` bytes of address space more than the largest of them has."""

    kind: ClassVar[str] = "service.limit_memory"
    headroom: int


@dataclass(frozen=True, slots=True)
class ExhaustGpuMemory(Breakage):
    """Of the memory of the GPU on which a service works, `leave` bytes are left; without one, of its host memory."""

    kind: ClassVar[str] = "service.exhaust_gpu_memory"
    leave: int
    memory: Literal["gpu", "host"] | None = None
    """None: the GPU's where there is one."""
    device: int = 0
    """By CUDA's number, as the service counts."""

    @property
    def capability(self) -> str:
        return f"{self.kind}.gpu" if self.memory == "gpu" else self.kind


@dataclass(frozen=True, slots=True)
class ExhaustFds(Breakage):
    """The processes of a service can open no more than `spare` more files or connections."""

    kind: ClassVar[str] = "service.exhaust_fds"
    spare: int = 0


@dataclass(frozen=True, slots=True)
class LimitFileSize(Breakage):
    """No process of a service can write to a file beyond its first `at_most` bytes."""

    kind: ClassVar[str] = "service.limit_file_size"
    at_most: int


@dataclass(frozen=True, slots=True)
class FillDisk(Breakage):
    """Of the disk that a service writes to, `leave` bytes are left."""

    kind: ClassVar[str] = "service.fill_disk"
    disk: ClassVar[bool] = True
    leave: int = 0


@dataclass(frozen=True, slots=True)
class SlowDisk(Breakage):
    """A service reads and writes no more than `rate` bytes per second, each way."""

    kind: ClassVar[str] = "service.slow_disk"
    rate: int
