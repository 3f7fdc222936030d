"""With Chaos Mesh doing the work: what it is told, what it says, and that nothing of it is left."""

import asyncio
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from brownout.breakage import (
    Blackhole,
    Breakage,
    Delay,
    FillDisk,
    Kill,
    LinkPlace,
    Place,
    ProviderFailure,
    ServicePlace,
    SkewClock,
    StarveCpu,
    Stop,
    Throttle,
)
from brownout.cli.compile import compile_
from brownout.errors import FaultError
from brownout.fixtures.kubernetes import meshing
from brownout.fixtures.kubernetes.chaosmesh import PLURALS, Part, format_duration, object_of
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.mesh import controlled, install, uninstall
from tests.kubernetes.shop import SHIPPED, Shop, breaking, opened

PARTS = {
    "gateway": Part({"app": "gateway"}),
    "inference": Part({"app": "inference"}, port=8000, volume="/data"),
    "inference-1": Part({"app": "inference"}, whole=False),
    "inference-2": Part({"app": "inference"}, pod="inference-x", whole=False),
}
SERVICE, LINK = ServicePlace("inference"), LinkPlace("gateway", "inference")
GATEWAY = {"namespaces": ["shop"], "labelSelectors": {"app": "gateway"}}
INFERENCE = {"namespaces": ["shop"], "labelSelectors": {"app": "inference"}}
SAID: list[tuple[Place, Breakage, str, dict[str, Any]]] = [
    (ServicePlace("inference-1"), Kill(), "PodChaos", {"mode": "one", "action": "pod-kill", "gracePeriod": 0}),
    (ServicePlace("inference-2"), Kill(), "PodChaos", {"mode": "all", "selector": {"pods": {"shop": ["inference-x"]}}}),
    (SERVICE, Stop(grace=1.0), "PodChaos", {"mode": "all", "action": "pod-failure", "duration": "90s"}),
    (SERVICE, StarveCpu(share=0.2), "StressChaos", {"stressors": {"cpu": {"workers": 1, "load": 80}}}),
    (SERVICE, SkewClock(seconds=-120.0), "TimeChaos", {"timeOffset": "-120s"}),
    (SERVICE, FillDisk(), "IOChaos", {"action": "fault", "errno": 28, "volumePath": "/data"}),
    (LINK, Blackhole(direction="to"), "NetworkChaos", {"action": "partition", "direction": "to"}),
    (LINK, Blackhole(), "NetworkChaos", {"selector": GATEWAY, "target": {"mode": "all", "selector": INFERENCE}}),
    (
        LINK,
        Delay(latency=0.3, jitter=0.05),
        "NetworkChaos",
        {"action": "delay", "delay": {"latency": "300ms", "jitter": "50ms", "correlation": "0"}},
    ),
    (LINK, Throttle(rate=1e6), "NetworkChaos", {"bandwidth": {"rate": "1000000bps", "limit": 10**6, "buffer": 10**6}}),
    (
        LINK,
        ProviderFailure(provider="openai", failure="overloaded"),
        "HTTPChaos",
        {"selector": INFERENCE, "target": "Response", "port": 8000, "replace": {"code": 503}},
    ),
]


ON_A_CLUSTER = [one for one in SAID[1:] if one[2] != "IOChaos"]
"""Whose pods are named, and have no volumes."""


def said(place: Place, breakage: Breakage) -> Any:
    return object_of(place, breakage, part=PARTS.__getitem__, name="x", namespace="shop", duration=90.0)


@pytest.mark.parametrize(("place", "breakage", "kind", "fields"), SAID)
def test_each_fault_is_said_in_chaos_meshs_own_words(
    place: Place, breakage: Breakage, kind: str, fields: dict[str, Any]
) -> None:
    made = said(place, breakage)

    assert made["kind"] == kind
    assert made["spec"] | fields == made["spec"]


def test_durations_are_said_as_go_reads_them() -> None:
    assert [format_duration(one) for one in (0, 0.05, -0.0005, 1.5, -120.0, 2592000.0, 1234567.25)] == [
        *("0s", "50ms", "-0.5ms", "1.5s", "-120s", "2592000s", "1234567.25s")
    ]


@pytest.mark.parametrize(
    ("place", "breakage"),
    [
        (LINK, Blackhole(cycle=1.0)),
        (LINK, Delay(latency=1.0, course="ramp", period=1.0)),
        (LINK, ProviderFailure(provider="openai", failure="overloaded", share=0.5)),
        (LINK, ProviderFailure(provider="openai", failure="stall")),
        (ServicePlace("gateway"), FillDisk()),
    ],
)
def test_what_cannot_be_said_to_it_is_refused(place: Place, breakage: Breakage) -> None:
    with pytest.raises(FaultError, match="cannot be said to Chaos Mesh"):
        said(place, breakage)


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(cluster, tmp_path_factory.mktemp("shop")) as found:
        asyncio.run(install(found.api))
        asyncio.run(found.apply(SHIPPED / "rbac-chaos-mesh.yaml"))
        yield found
        # Beside other workers, which may need it still, it is left to the cluster's own end.
        if "PYTEST_XDIST_WORKER" not in os.environ:
            asyncio.run(uninstall(found.api))


async def left(shop: Shop) -> list[Any]:
    path = f"/apis/chaos-mesh.org/v1alpha1/namespaces/{shop.namespace}"
    return [one for plural in PLURALS.values() for one in await shop.api.list(f"{path}/{plural}")]


@pytest.mark.process
@pytest.mark.parametrize(("place", "breakage", "kind", "fields"), ON_A_CLUSTER)
def test_it_is_waited_for_reported_and_removed(
    shop: Shop, place: Place, breakage: Breakage, kind: str, fields: dict[str, Any]
) -> None:
    async def play() -> None:
        async with breaking(shop, engine="chaos-mesh") as it:
            await it.inject(place, breakage, lease="run.1", ttl=5.0)
            (made,) = await left(shop)
            # What the server kept is what it was told: it drops what it does not know.
            assert made["kind"] == kind
            told = {key: value for key, value in fields.items() if key not in ("selector", "target", "duration")}
            assert made["spec"] | told == made["spec"]
            proof = await it.prove("run.1")
            assert proof.works
            assert "AllInjected True" in proof.summary
            done = await it.heal("run.1")
            assert any("AllInjected False, AllRecovered True" in one for one in done), done
            assert await left(shop) == []
            assert controller.said == ["injected", "recovered"]

    shop.describe("replicas: 4}", "replicas: 4, http: 8000}")
    try:
        with controlled(shop) as controller:
            asyncio.run(play())
    finally:
        shop.describe()


@pytest.mark.process
def test_what_chaos_mesh_does_not_inject_is_no_fault_and_leaves_nothing(shop: Shop, monkeypatch: Any) -> None:
    monkeypatch.setattr(meshing, "INJECTED_WITHIN", 1.0)

    async def play() -> None:
        async with breaking(shop, engine="chaos-mesh") as it:
            with pytest.raises(FaultError, match="it says: AllInjected False, AllRecovered False"):
                await it.inject(LINK, Blackhole(), lease="run.1", ttl=5.0)
            assert await left(shop) == []
            assert await shop.ledger.held() == []

    with controlled(shop) as controller:
        controller.injects = False
        asyncio.run(play())


@pytest.mark.process
def test_what_chaos_mesh_does_not_recover_stays_written_down_until_it_does(shop: Shop, monkeypatch: Any) -> None:
    monkeypatch.setattr("brownout.fixtures.kubernetes.undo.PATIENCE", 1.0)

    async def play() -> None:
        async with breaking(shop, engine="chaos-mesh") as it:
            await it.inject(LINK, Delay(latency=0.1), lease="run.1", ttl=5.0)
            controller.recovers = False
            with pytest.raises(FaultError, match="is held still after 1 s by what has to clear up after it"):
                await it.heal("run.1")
            assert len(await shop.ledger.held()) == 1
            controller.recovers = True
            await it.heal("run.1")
            assert await left(shop) == []
            assert await shop.ledger.held() == []

    with controlled(shop) as controller:
        asyncio.run(play())


@pytest.mark.process
def test_an_experiment_is_compiled_to_objects_that_the_server_takes(
    shop: Shop, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    path = tmp_path / "two_things.yaml"
    path.write_text("""\
title: t
hypothesis: h
target: kubernetes
duration: 60s
load: {rate: 20/s}
steady-state: [{availability: {at-least: 50%}}]
method:
  - latency: {from: gateway, to: inference, latency: 200ms}
    at: 20s
    for: 30s
  - pod_kill: {service: inference, count: 2}
    at: 10s
    for: 20s
expect:
  during: [{availability: {at-least: 50%}}]
""")
    at = ["--context", "restricted", "--namespace", shop.namespace, "--description", str(shop.description)]

    told = CliRunner().invoke(compile_, [str(path), "--to", "chaos-mesh", *at])

    assert told.exit_code == 0, told.output
    objects = list(yaml.safe_load_all(told.output))
    assert [one["kind"] for one in objects] == ["PodChaos", "PodChaos", "NetworkChaos"]
    assert objects[2]["metadata"]["name"] == "two-things-latency-3"
    assert objects[2]["spec"]["duration"] == "30s"
    assert objects[0]["spec"]["mode"] == "one"
