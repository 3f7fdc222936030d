"""Each fault, entered against a plan, says what it would break."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from dataclasses import asdict
from typing import Any, get_args

import pytest

from brownout import registry
from brownout.breakage import (
    Blackhole,
    Breakage,
    CapMemory,
    Corrupt,
    CorruptVectors,
    CrashLoop,
    Delay,
    DeleteDocuments,
    Disconnect,
    DropConnections,
    ExhaustFds,
    ExhaustGpuMemory,
    FailDns,
    FillDisk,
    Freeze,
    Kill,
    LimitFileSize,
    LimitMemory,
    LinkPlace,
    ProviderFailure,
    Reset,
    ServicePlace,
    SkewClock,
    Slice,
    SlowClose,
    SlowDisk,
    SlowStart,
    StallTls,
    StarveCpu,
    Stop,
    Throttle,
    Truncate,
)
from brownout.dialect import Failure
from brownout.errors import InvalidInput
from brownout.faults.bandwidth import bandwidth
from brownout.faults.connection_drop import connection_drop
from brownout.faults.corrupt import corrupt
from brownout.faults.dns_failure import dns_failure
from brownout.faults.latency import latency
from brownout.faults.partition import partition
from brownout.faults.provider_error import provider_error
from brownout.faults.provider_outage import provider_outage
from brownout.faults.provider_rate_limit import provider_rate_limit
from brownout.faults.slice import slice_
from brownout.faults.slow_close import slow_close
from brownout.faults.stream_fault import stream_fault
from brownout.faults.tls_stall import tls_stall
from brownout.faults.truncate import truncate
from brownout.fit import fit
from brownout.parameters import parameters_of
from brownout.reader import parse_experiment
from brownout.system import Plan, ServiceFamily, ServiceName, Topology, UnknownFamily, UnknownPlace
from brownout.units import Bandwidth, Duration, Latency, Share, Size

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


CASES: list[tuple[Any, dict[str, Any], Breakage]] = [
    (partition, {"direction": "to"}, Blackhole(direction="to")),
    (partition, {"direction": "from", "cycle": Duration(4.0)}, Blackhole(direction="from", cycle=4.0)),
    (partition, {"manner": "reset", "cycle": Duration(4.0)}, Reset(cycle=4.0)),
    (
        latency,
        {"latency": Latency(0.5), "course": "ramp", "period": Duration(9.0)},
        Delay(latency=0.5, course="ramp", period=9.0),
    ),
    (
        latency,
        {"latency": Latency(0.5), "course": "random", "period": Duration(2.0), "seed": 7},
        Delay(latency=0.5, course="random", period=2.0, seed=7),
    ),
    (latency, {"latency": Latency(0.0), "jitter": Latency(0.002)}, Delay(latency=0.0, jitter=0.002)),
    (
        latency,
        {"latency": Latency(0.0), "jitter": Latency(1.0), "course": "square", "period": Duration(2.0)},
        Delay(latency=0.0, jitter=1.0, course="square", period=2.0),
    ),
    (bandwidth, {"rate": Bandwidth(64_000.0)}, Throttle(rate=64_000.0)),
    (bandwidth, {"rate": Bandwidth(3_000.0)}, Throttle(rate=3_000.0)),
    (bandwidth, {"rate": Bandwidth(10_400.0)}, Throttle(rate=10_400.0)),
    (slow_close, {"delay": Latency(2.0)}, SlowClose(delay=2.0)),
    (slice_, {"size": Size(16)}, Slice(size=16)),
    (
        slice_,
        {"size": Size(16), "variation": Size(8), "delay": Latency(0.01)},
        Slice(size=16, variation=8, delay=0.01),
    ),
    (truncate, {"after": Size(1024)}, Truncate(after=1024)),
    (corrupt, {"share": Share(0.001)}, Corrupt(share=0.001)),
    (corrupt, {"share": Share(0.001), "seed": 7}, Corrupt(share=0.001, seed=7)),
    (connection_drop, {"first": 2}, DropConnections(first=2)),
    (connection_drop, {"every": 3}, DropConnections(every=3)),
    (tls_stall, {}, StallTls()),
    (dns_failure, {}, FailDns(answer="nxdomain")),
    (
        dns_failure,
        {"answer": "servfail", "delay": Latency(2.0), "connections": "keep"},
        FailDns(answer="servfail", delay=2.0, drain=False),
    ),
    (provider_outage, {}, ProviderFailure(provider="openai", failure="silent", delay=30.0)),
    (
        provider_outage,
        {"manner": "overloaded", "provider": "anthropic", "first": 2},
        ProviderFailure(provider="anthropic", failure="overloaded", first=2),
    ),
    (
        provider_rate_limit,
        {"limit": "tokens", "retry_after": Duration(5.0), "tenant": "clinic"},
        ProviderFailure(provider="openai", failure="rate_limited_tokens", retry_after=5.0, tenant="clinic"),
    ),
    (
        provider_error,
        {"failure": "usage_inflated", "factor": 50, "share": Share(0.1), "seed": 3},
        ProviderFailure(provider="openai", failure="usage_inflated", factor=50, share=0.1, seed=3),
    ),
    (
        stream_fault,
        {"after": 5, "path": "/v1/*", "model": "gpt-*", "header": "x-team: a", "every": 2},
        ProviderFailure(
            provider="openai", failure="stall", after=5, path="/v1/*", model="gpt-*", header="x-team: a", every=2
        ),
    ),
]


@pytest.mark.parametrize(("fault", "given", "breakage"), CASES)
def test_a_fault_breaks_what_its_arguments_say(fault: Any, given: dict[str, Any], breakage: Breakage) -> None:
    plan = Plan(TOPOLOGY)
    assert planned(plan, fault(plan, from_=GATEWAY, to=CACHE, **given)) == [(LinkPlace("gateway", "cache"), breakage)]
    # Into the ledger it goes as JSON.
    assert json.loads(json.dumps(breakage.parameters())) == asdict(breakage)


@pytest.mark.parametrize(
    ("fault", "given", "said"),
    [
        (partition, {"manner": "reset", "direction": "to"}, "direction: to is for a blackhole"),
        (partition, {"cycle": Duration(0.01)}, "cycle: 100ms is the shortest"),
        (latency, {"latency": Latency(1.0), "course": "ramp"}, "period: 100ms at least with course: ramp"),
        (latency, {"latency": Latency(1.0), "period": Duration(1.0)}, "period: needs a course"),
        (latency, {"latency": Latency(1.0), "seed": 7}, "seed: needs course: random"),
        (latency, {"latency": Latency(0.0)}, "latency: 1ms at least"),
        (latency, {"latency": Latency(0.0004)}, "latency: 1ms at least"),
        (latency, {"latency": Latency(0.0005), "jitter": Latency(0.0005)}, "latency: 1ms at least"),
        (latency, {"latency": Latency(1.0), "jitter": Latency(0.0004)}, "jitter: 1ms at least"),
        (
            latency,
            {"latency": Latency(0.0), "jitter": Latency(1.0), "course": "ramp", "period": Duration(1.0)},
            "latency: 1ms at least",
        ),
        (slow_close, {"delay": Latency(0.0)}, "delay: 1ms at least"),
        (slow_close, {"delay": Latency(0.0004)}, "delay: 1ms at least"),
        (dns_failure, {"answer": "slow", "delay": Latency(0.0004)}, "delay: 1ms at least"),
        (stream_fault, {"failure": "slow_tokens", "gap": Duration(0.0004)}, "gap: 1ms at least"),
        (bandwidth, {"rate": Bandwidth(10.0)}, "rate: 1 kB/s is the least"),
        (bandwidth, {"rate": Bandwidth(1500.0)}, "rate: whole kB/s below 10 kB/s, such as 2kB/s"),
        (slice_, {"size": Size(0)}, "size: at least 1 B"),
        (slice_, {"size": Size(8), "variation": Size(8)}, "variation: must be less than size"),
        (corrupt, {"share": Share(0.0)}, "share: must be above 0%"),
        (corrupt, {"share": Share(0.1), "seed": 0}, "seed: must be between"),
        (connection_drop, {}, "give first or every"),
        (dns_failure, {"answer": "slow"}, "answer: slow needs a delay"),
        (dns_failure, {"answer": "timeout", "delay": Latency(1.0)}, "never comes is not late"),
        (dns_failure, {"answer": "slow", "delay": Latency(61.0)}, "delay: 60s at most"),
        (provider_rate_limit, {"seed": 0}, "seed: must be between"),
        (connection_drop, {"first": -1, "every": 2}, "give first or every"),
    ],
)
def test_arguments_that_make_no_sense_are_refused_when_planned(fault: Any, given: dict[str, Any], said: str) -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(ValueError, match=said):
        planned(plan, fault(plan, from_=GATEWAY, to=CACHE, **given))
    assert plan.steps == []


@pytest.mark.parametrize(
    ("fault", "given", "said"),
    [
        (provider_outage, {"provider": "opanai"}, "unknown provider 'opanai'; did you mean 'openai'"),
        (provider_outage, {"manner": "timeout", "timeout": Duration(90_000.0)}, "delay must be between 0 and 86400"),
        (provider_rate_limit, {"limit": "spend", "provider": "vllm"}, "vllm has no quota_exhausted: "),
        (provider_rate_limit, {"first": 0}, "first must be at least 1"),
        (provider_error, {"failure": "refusal", "share": Share(0.0)}, "share must be above 0"),
        (stream_fault, {"after": -1}, "after must be between 0"),
        (stream_fault, {"every": -2}, "every must be at least 1"),
    ],
)
def test_a_failure_that_no_provider_has_is_refused_when_planned(fault: Any, given: dict[str, Any], said: str) -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(InvalidInput, match=said):
        planned(plan, fault(plan, from_=GATEWAY, to=CACHE, **given))
    assert plan.steps == []


def test_the_failures_that_faults_may_name_are_all_that_the_vocabulary_has() -> None:
    named = {
        choice
        for fault in (provider_error, stream_fault)
        for parameter in parameters_of(fault)
        if parameter.key == "failure"
        for choice in get_args(parameter.type)
    }
    by_other_faults = {
        "rate_limited_requests",
        "rate_limited_tokens",
        "quota_exhausted",
        "overloaded",
        "server_error",
        "bad_gateway",
        "gateway_timeout",
    }
    assert named | by_other_faults == set(Failure)
    assert not named & by_other_faults


@pytest.mark.parametrize(
    "fault", list(dict.fromkeys(fault for fault, _, _ in CASES)), ids=lambda fault: str(fault.__name__)
)
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
        ("memory_pressure", {"headroom": 2**20}, [CapMemory(headroom=2**20)]),
        ("memory_pressure", {"headroom": 2**20, "manner": "refuse"}, [LimitMemory(headroom=2**20)]),
        ("gpu_oom", {}, [ExhaustGpuMemory(leave=64 * 2**20)]),
        (
            "gpu_oom",
            {"leave": 0, "memory": "gpu", "device": 1},
            [ExhaustGpuMemory(leave=0, memory="gpu", device=1)],
        ),
        ("slow_disk", {"per_second": 1000}, [SlowDisk(rate=1000)]),
        ("disconnect", {}, [Disconnect()]),
        ("disk_full", {}, [FillDisk(leave=0)]),
        ("disk_full", {"leave": 1000}, [FillDisk(leave=1000)]),
        ("clock_skew", {"by": 60.0}, [SkewClock(seconds=60.0)]),
        ("clock_skew", {"by": 60.0, "direction": "behind"}, [SkewClock(seconds=-60.0)]),
        ("fd_exhaustion", {}, [ExhaustFds(spare=0)]),
        ("fd_exhaustion", {"spare": 3}, [ExhaustFds(spare=3)]),
        ("delete_documents", {"documents": "*-charges-*"}, [DeleteDocuments(documents="*-charges-*")]),
        ("corrupt_vectors", {"documents": "a-*"}, [CorruptVectors(documents="a-*", manner="noise")]),
        ("corrupt_vectors", {"documents": "a", "manner": "scaled"}, [CorruptVectors(documents="a", manner="scaled")]),
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
        ("slow_disk", {"per_second": 0}, "at least 1B"),
        ("clock_skew", {"by": 0.0}, "above 0"),
        ("gpu_oom", {"device": -1}, "negative"),
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


def test_a_pod_kill_is_planned_for_one_replica_and_refused_where_there_are_none() -> None:
    plan = Plan(Topology(("gateway", "worker-2", "worker-1"), (), frozenset()))
    pod_kill = registry.faults().get("pod_kill")
    assert planned(plan, pod_kill(plan, service=ServiceFamily("worker"))) == [(ServicePlace("worker-1"), Kill())]
    assert all(parameter.doc for parameter in parameters_of(pod_kill))
    for name in ("gateway", "worker-1"):
        with pytest.raises(UnknownFamily, match=f"with replicas of the name {name}"):
            planned(plan, pod_kill(plan, service=ServiceFamily(name)))


def test_every_fault_of_a_link_is_registered() -> None:
    ours = registry.Registry.installed("fault", distribution="brownout")
    assert {ours.get(name) for name in ours.names()} >= {fault for fault, _, _ in CASES}


def test_a_fault_on_a_link_that_is_not_there_is_refused_when_planned() -> None:
    plan = Plan(TOPOLOGY)
    with pytest.raises(UnknownPlace, match="no link cache → gateway"):
        planned(plan, partition(plan, from_=CACHE, to=GATEWAY))


ONE_FAULT = """\
title: T
hypothesis: H
load: {rate: 1/s}
steady-state: [availability: {at-least: 99%}]
expect: {during: [availability: {at-least: 99%}]}
method:
  - FAULT: {from: gateway, to: cache}
    at: 1s
    for: 1s
"""


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        ("provider_outage", "the link gateway → cache carries no HTTP"),
        ("dns_failure", "on the link gateway → cache no host name is resolved that could fail"),
    ],
)
def test_a_failure_of_what_a_link_does_not_have_is_refused_before_anything_starts(fault: str, said: str) -> None:
    source = ONE_FAULT.replace("FAULT", fault)
    topology = Topology(
        services=("gateway", "cache", "llm"),
        links=(("gateway", "cache"), ("gateway", "llm")),
        capabilities=frozenset({ProviderFailure.kind, FailDns.kind}),
        http_links=(("gateway", "llm"),),
        named_links=(("gateway", "llm"),),
    )
    experiment = parse_experiment(source, file="e.yaml")
    with pytest.raises(InvalidInput, match=f"{said}.*allowed: gateway → llm") as refused:
        fit(experiment, target_name="toy", topology=topology, settings={})
    assert str(refused.value).startswith("e.yaml:7:")
    well = parse_experiment(source.replace("to: cache", "to: llm"), file="e.yaml")
    assert fit(well, target_name="toy", topology=topology, settings={}) == {}
