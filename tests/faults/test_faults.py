"""Each fault, entered against a plan, says what it would break."""

import asyncio
from contextlib import AbstractAsyncContextManager
from typing import Any

import pytest

from brownout.breakage import Blackhole, Breakage, Delay, LinkPlace, Reset
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


def test_a_fault_on_a_link_that_is_not_there_is_refused_when_planned() -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(UnknownPlace, match="no link cache → gateway"):
        planned(plan, partition(plan, from_=CACHE, to=GATEWAY))
