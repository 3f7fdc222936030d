"""What NVML says of this machine's GPUs; nothing where there are none, or without the extra `gpu` (nvidia-ml-py)."""

import asyncio
from collections.abc import Callable, Mapping
from types import ModuleType
from typing import Any, Self

from brownout.clock import Clock
from brownout.evidence.model import Sample
from brownout.recorders._polling import poll

_MHZ = 1e6


class Gpus:
    """Every GPU of this machine. To be closed."""

    def __init__(self, nvml: ModuleType) -> None:
        self._nvml = nvml
        self._handles = [nvml.nvmlDeviceGetHandleByIndex(index) for index in range(nvml.nvmlDeviceGetCount())]

    @classmethod
    def open(cls) -> Self | None:
        """None where there is no GPU, no driver or no nvidia-ml-py."""
        try:
            import pynvml  # noqa: PLC0415 - an extra
        except ImportError:
            return None
        try:
            pynvml.nvmlInit()
        except pynvml.NVMLError:
            return None
        return cls(pynvml)

    def close(self) -> None:
        self._nvml.nvmlShutdown()

    def read(self) -> list[tuple[str, int, float]]:
        """Metric, number of the GPU, value: bytes, shares of one, °C and Hz. What a GPU does not tell is left out.

        Raises:
            OSError: a GPU has been lost, or the driver fails otherwise.
        """
        found = []
        for index, handle in enumerate(self._handles):
            for metric, value in self._figures(handle).items():
                try:
                    found.append((metric, index, value()))
                except self._nvml.NVMLError_NotSupported:
                    continue
                except self._nvml.NVMLError as problem:
                    msg = f"NVML does not tell {metric} of GPU {index}: {problem}"
                    raise OSError(msg) from problem
        return found

    def _figures(self, handle: Any) -> Mapping[str, Callable[[], float]]:
        nvml = self._nvml
        return {
            "gpu_memory_used_bytes": lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).used),
            "gpu_memory_total_bytes": lambda: float(nvml.nvmlDeviceGetMemoryInfo(handle).total),
            "gpu_utilization_ratio": lambda: nvml.nvmlDeviceGetUtilizationRates(handle).gpu / 100,
            "gpu_temperature_celsius": lambda: float(nvml.nvmlDeviceGetTemperature(handle, nvml.NVML_TEMPERATURE_GPU)),
            "gpu_sm_clock_hertz": lambda: nvml.nvmlDeviceGetClockInfo(handle, nvml.NVML_CLOCK_SM) * _MHZ,
        }


async def follow_gpus(*, clock: Clock, add: Callable[[Sample], None], every: float = 1.0) -> None:
    """Record the figures of every GPU, until cancelled; returns at once where there is none.

    Raises:
        RecorderFailed: they could not be read for too long.
    """
    gpus = await asyncio.to_thread(Gpus.open)
    if gpus is None:
        return

    async def look() -> None:
        figures = await asyncio.to_thread(gpus.read)
        now = clock.now()
        for metric, index, value in figures:
            add(Sample(now, "nvml", metric, (("gpu", str(index)),), value))

    try:
        await poll(look, every=every, clock=clock, name="the GPUs")
    finally:
        gpus.close()
