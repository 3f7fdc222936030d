"""Each fault, entered against a plan, says what it would break."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from brownout import registry
from brownout.breakage import (
    Blackhole,
    Breakage,
    CrashLoop,
    Delay,
    ExhaustFds,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    LinkPlace,
    Reset,
    ServicePlace,
    SlowStart,
    StarveCpu,
    Stop,
)
from brownout.faults.latency import latency
from brownout.faults.partition import partition
from brownout.parameters import parameters_of
from brownout.system import Plan, ServiceName, Topology, UnknownPlace
from brownout.units import Latency

GATEWAY, CACHE = ServiceName("gateway"), ServiceName("cache")
TOPOLOGY = Topology(services=("gateway", "cache"), links=(("gateway", "cache"),), capabilities=frozenset())


def planned(plan: Plan, fault: AbstractAsyncContextManager[None]) -> list[tuple[Any, Breakage]]:
    async def enter() -> None:
        async with fault:
            pass

    asyncio.run(enter())
    return plan.steps


def test_a_partition_is_a_blackhole_unless_it_is_told_to_reset() -> None:
    plan = Plan(TOPOLOGY)
    assert planned(plan, partition(plan, from_=GATEWAY, to=CACHE)) == [(LinkPlace("gateway", "cache"), Blackhole())]
    plan = Plan(TOPOLOGY)
    reset = partition(plan, from_=GATEWAY, to=CACHE, manner="reset")
    assert planned(plan, reset) == [(LinkPlace("gateway", "cache"), Reset())]


def test_latency_delays_answers_by_what_it_is_told() -> None:
    plan = Plan(TOPOLOGY)
    late = latency(plan, from_=GATEWAY, to=CACHE, latency=Latency(0.5), jitter=Latency(0.1))
    assert planned(plan, late) == [(LinkPlace("gateway", "cache"), Delay(latency=0.5, jitter=0.1))]


@pytest.mark.parametrize("fault", [partition, latency])
def test_a_fault_documents_every_parameter_that_an_experiment_may_give(fault: Any) -> None:
    parameters = parameters_of(fault)
    assert {parameter.key for parameter in parameters} >= {"from", "to"}
    assert all(parameter.doc for parameter in parameters)


@pytest.mark.parametrize(
    ("name", "arguments", "breakages"),
    [
        ("kill", {}, [Kill()]),
        ("stop", {}, [Stop(grace=30.0)]),
        ("stop", {"grace": 5.0}, [Stop(grace=5.0)]),
        ("freeze", {}, [Freeze()]),
        ("crash_loop", {}, [CrashLoop(up_for=1.0)]),
        ("crash_loop", {"up_for": 3.0}, [CrashLoop(up_for=3.0)]),
        # The delay holds before there is a start to delay.
        ("slow_start", {"delay": 8.0}, [SlowStart(delay=8.0), Kill()]),
        ("cpu_starvation", {"share": 0.05}, [StarveCpu(share=0.05)]),
        ("cpu_starvation", {"share": 0.5, "manner": "quota"}, [StarveCpu(share=0.5, manner="quota")]),
        ("memory_limit", {"headroom": 2**20}, [LimitMemory(headroom=2**20)]),
        ("fd_exhaustion", {}, [ExhaustFds(spare=0)]),
        ("fd_exhaustion", {"spare": 3}, [ExhaustFds(spare=3)]),
        ("file_size_limit", {}, [LimitFileSize(at_most=0)]),
        ("file_size_limit", {"at_most": 512}, [LimitFileSize(at_most=512)]),
    ],
)
def test_a_fault_on_a_service_breaks_that_service(
    name: str, arguments: dict[str, Any], breakages: list[Breakage]
) -> None:
    plan = Plan(TOPOLOGY)
    steps = planned(plan, registry.faults().get(name)(plan, service=CACHE, **arguments))
    assert steps == [(ServicePlace("cache"), breakage) for breakage in breakages]
    assert all(parameter.doc for parameter in parameters_of(registry.faults().get(name)))


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("cpu_starvation", {"share": 0.0}, "at least 1% and below 100%"),
        ("cpu_starvation", {"share": 1.0}, "at least 1% and below 100%"),
        ("slow_start", {"delay": 0.0}, "above 0"),
        ("fd_exhaustion", {"spare": -1}, "negative"),
    ],
)
def test_parameters_that_are_impossible_are_refused_when_planned(
    name: str, arguments: dict[str, Any], said: str
) -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(ValueError, match=said):
        planned(plan, registry.faults().get(name)(plan, service=CACHE, **arguments))


def test_a_fault_on_a_service_that_is_not_there_is_refused_when_planned() -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(UnknownPlace, match="no service nowhere"):
        planned(plan, registry.faults().get("kill")(plan, service=ServiceName("nowhere")))


def test_a_fault_on_a_link_that_is_not_there_is_refused_when_planned() -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(UnknownPlace, match="no link cache → gateway"):
        planned(plan, partition(plan, from_=CACHE, to=GATEWAY))
