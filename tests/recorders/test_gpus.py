"""GPUs are recorded where there are some, and nothing is said of them where there are none."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from brownout.clock import RunClock
from brownout.evidence.model import Sample
from brownout.recorders.gpus import Gpus, follow_gpus

NVML = """
typedef struct { unsigned long long total, free, used; } memory;
typedef struct { unsigned gpu, memory; } utilization;
int nvmlInitWithFlags(unsigned flags) { return 0; }
int nvmlShutdown(void) { return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **gpu) { *gpu = (void *)(unsigned long)(index + 1); return 0; }
int nvmlDeviceGetMemoryInfo(void *gpu, memory *told) { told->total = 100; told->free = 60; told->used = 40; return 0; }
/* The second does not tell: 3 is NVML_ERROR_NOT_SUPPORTED. */
int nvmlDeviceGetUtilizationRates(void *gpu, utilization *told) { told->gpu = 25; return gpu == (void *)1 ? 0 : 3; }
int nvmlDeviceGetTemperature(void *gpu, int sensor, unsigned *told) { *told = 61; return 0; }
int nvmlDeviceGetClockInfo(void *gpu, int clock, unsigned *told) { *told = clock == 1 ? 1980 : 0; return 0; }
"""
READ = "import json; from brownout.recorders.gpus import Gpus; g = Gpus.open(); print(json.dumps(g.read())); g.close()"


def test_where_there_is_no_gpu_nothing_is_recorded() -> None:
    pytest.importorskip("pynvml")
    if (found := Gpus.open()) is not None:
        found.close()
        pytest.skip("there is a GPU here")
    samples: list[Sample] = []
    asyncio.run(asyncio.wait_for(follow_gpus(clock=RunClock(), add=samples.append), 5.0))
    assert samples == []


def test_without_the_extra_nothing_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    assert Gpus.open() is None


def test_what_each_gpu_tells_is_read_and_what_one_does_not_tell_is_left_out(tmp_path: Path) -> None:
    pytest.importorskip("pynvml")
    if (compiler := shutil.which("cc")) is None:
        pytest.skip("no C compiler on PATH")
    (tmp_path / "nvml.c").write_text(NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-o", library, tmp_path / "nvml.c"], check=True)
    env = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    told = json.loads(subprocess.run([sys.executable, "-c", READ], env=env, capture_output=True, check=True).stdout)
    both = {("gpu_memory_used_bytes", 40), ("gpu_memory_total_bytes", 100), ("gpu_temperature_celsius", 61)}
    both |= {("gpu_sm_clock_hertz", 1.98e9)}
    assert {(metric, value) for metric, index, value in told if index == 1} == both
    assert {(metric, value) for metric, index, value in told if index == 0} == both | {("gpu_utilization_ratio", 0.25)}


def test_a_gpu_is_recorded_once_a_second() -> None:
    pytest.importorskip("pynvml")
    if (found := Gpus.open()) is None:
        pytest.skip("no GPU here")
    found.close()
    samples: list[Sample] = []

    async def play() -> None:
        recorder = asyncio.create_task(follow_gpus(clock=RunClock(), add=samples.append, every=0.1))
        await asyncio.sleep(1.0)
        recorder.cancel()
        await asyncio.wait({recorder})

    asyncio.run(play())
    used = [sample.value for sample in samples if sample.metric == "gpu_memory_used_bytes"]
    total = [sample.value for sample in samples if sample.metric == "gpu_memory_total_bytes"]
    assert len(used) == len(total) >= 5
    assert 0 <= used[0] <= total[0]
