"""Where pods really run: what the kubelet makes of a fault, and that it makes all well again."""

import asyncio
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from brownout.breakage import (
    Blackhole,
    Breakage,
    FailImagePull,
    FailReadiness,
    Kill,
    LinkPlace,
    ScaleToZero,
    ServicePlace,
)
from brownout.fixtures.kubernetes.api import Call
from tests.kubernetes.cluster import PAUSE, Cluster
from tests.kubernetes.kubectl import Kubectl
from tests.kubernetes.shop import Shop, breaking, opened

pytestmark = pytest.mark.process
INFERENCE = ServicePlace("inference")


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster.needs_pause()
    with opened(cluster, tmp_path_factory.mktemp("shop"), image=PAUSE) as found:
        yield found


async def waiting(shop: Shop) -> set[str]:
    """Why containers of inference do not run."""
    pods = await shop.pods("inference")
    states = [one["state"] for pod in pods for one in pod["status"].get("containerStatuses") or []]
    return {state["waiting"].get("reason", "") for state in states if "waiting" in state}


async def running(shop: Shop) -> list[bool]:
    """Of every pod of inference that runs, whether it is ready."""
    pods = [pod for pod in await shop.pods("inference") if pod["status"].get("phase") == "Running"]
    return [any(one["type"] == "Ready" and one["status"] == "True" for one in p["status"]["conditions"]) for p in pods]


def during(shop: Shop, place: ServicePlace, breakage: Breakage, seen: Any) -> None:
    """Break it, wait until something is seen, and have it whole again."""

    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(place, breakage, lease="run.1", ttl=5.0)
            await shop.until(seen)
            proof = await it.prove("run.1")
            assert proof.works, proof.summary
            await it.heal("run.1")

            async def whole() -> bool:
                return await running(shop) == [True] * 4 and len(await shop.pods("inference")) == 4

            await shop.until(whole)

    asyncio.run(play())


def test_a_pod_whose_processes_were_killed_is_replaced_by_one_that_runs(shop: Shop) -> None:
    before: set[str] = set()

    async def names() -> set[str]:
        return {one["metadata"]["uid"] for one in await shop.pods("inference")}

    async def seen() -> bool:
        return bool(before - await names()) and await running(shop) == [True] * 4

    async def all_there() -> bool:
        return await running(shop) == [True] * 4

    asyncio.run(shop.until(all_there))
    before |= asyncio.run(names())
    during(shop, ServicePlace("inference-1"), Kill(), seen)


def test_an_image_that_cannot_be_pulled_stops_the_rollout_and_the_old_pods_go_on(shop: Shop) -> None:
    async def seen() -> bool:
        return bool(await waiting(shop) & {"ErrImagePull", "ImagePullBackOff"}) and sum(await running(shop)) >= 3

    during(shop, INFERENCE, FailImagePull(), seen)


def test_pods_that_are_never_ready_run_and_get_no_traffic(shop: Shop) -> None:
    async def seen() -> bool:
        ready = await running(shop)
        return False in ready and sum(ready) >= 3

    during(shop, INFERENCE, FailReadiness(), seen)


def test_a_service_without_replicas_has_no_pods_and_then_as_many_as_before(shop: Shop) -> None:
    async def seen() -> bool:
        return await shop.pods("inference") == []

    during(shop, INFERENCE, ScaleToZero(), seen)


@pytest.mark.parametrize("how", ["a policy of ours", "a policy of theirs that is narrowed"])
def test_a_partition_cuts_one_way_is_not_got_round_by_a_new_pod_and_ends(shop: Shop, how: str) -> None:
    kubectl = Kubectl(shop.cluster, shop.namespace)

    async def reaches(one: str, other: str) -> bool:
        (dialler, *_), (answering, *_) = await shop.pods(one), await shop.pods(other)
        dial = ("exec", dialler["metadata"]["name"], "--", "/pause", "dial", f"{answering['status'].get('podIP')}:8000")
        return (await asyncio.to_thread(kubectl.run, *dial)).returncode == 0

    async def meets_outside() -> bool:
        """Whether addresses that no pod has are joined to both ends: the API server's, and this machine's."""
        (gateway, *_), (inference, *_) = await shop.pods("gateway"), await shop.pods("inference")
        server = kubectl("config", "view", "--minify", "--output", "jsonpath={.clusters[0].cluster.server}")
        dial = ("exec", gateway["metadata"]["name"], "--", "/pause", "dial", urlsplit(server).netloc)
        try:
            _, writer = await asyncio.wait_for(asyncio.open_connection(inference["status"]["podIP"], 8000), 1)
        except OSError:
            return False
        writer.close()
        return (await asyncio.to_thread(kubectl.run, *dial)).returncode == 0

    async def cut() -> bool:
        return not await reaches("gateway", "inference")

    async def joined() -> bool:
        return await reaches("gateway", "inference")

    async def renewed(old: str) -> bool:
        pods = await shop.pods("gateway")
        return [one["status"].get("phase") for one in pods] == ["Running"] and pods[0]["metadata"]["name"] != old

    async def play() -> None:
        theirs = {"podSelector": {"matchLabels": {"app": "inference"}}, "ingress": [{"from": [{"podSelector": {}}]}]}
        every = {"podSelector": {}, "policyTypes": ["Egress"], "egress": [{}]}
        if how != "a policy of ours":
            for name, spec in (("to-inference", theirs), ("out", every)):
                await shop.make("networkpolicies", {"metadata": {"name": name}, "spec": spec})
        async with breaking(shop) as it:
            await shop.until(joined)
            await it.inject(LinkPlace("gateway", "inference"), Blackhole(), lease="run.1", ttl=5.0)
            await shop.until(cut)
            assert await reaches("inference", "gateway")
            assert await reaches("store", "inference")
            if how == "a policy of ours":
                await shop.until(meets_outside)
            (old,) = await shop.pods("gateway")
            name = old["metadata"]["name"]
            await shop.api.do(Call("DELETE", shop.path("pods", name), {"gracePeriodSeconds": 0}))
            await shop.until(lambda: renewed(name))
            await shop.until(cut)
            if how == "a policy of ours":
                await shop.until(meets_outside)
            assert (await it.prove("run.1")).works
            await it.heal("run.1")
            await shop.until(joined)

    asyncio.run(play())
