"""A greedy neighbour of a service's pod. Of a GPU the pod alone is checked: no node here has one."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from brownout.breakage import ExhaustGpuMemory, ServicePlace
from brownout.errors import FaultError
from brownout.fixtures.kubernetes.api import Api
from brownout.fixtures.kubernetes.description import Hog
from brownout.fixtures.kubernetes.hog import Host, taken_of
from brownout.fixtures.kubernetes.hogging import neighbour
from brownout.fixtures.kubernetes.ledger import Ledger
from tests.kubernetes.cluster import PAUSE, Cluster
from tests.kubernetes.images import brownout_image
from tests.kubernetes.kubectl import Kubectl
from tests.kubernetes.shop import SHIPPED, Shop, breaking, opened

MIB = 2**20


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster.needs_pause()
    image = brownout_image()
    with opened(cluster, tmp_path_factory.mktemp("shop"), image=PAUSE) as found:
        Kubectl(cluster, found.namespace)("apply", "--filename", str(SHIPPED / "rbac-gpu.yaml"))
        with found.description.open("a") as file:
            file.write(f"gpu-hog: {{image: {image}, host: 64MiB}}\n")
        yield found


def test_of_the_host_it_takes_what_it_may_have_and_no_more() -> None:
    told = taken_of(Host(8 * MIB), 3 * MIB)
    assert told == {"memory": "host", "free": 8 * MIB, "took": 4 * MIB, "left": 4 * MIB, "total": 8 * MIB}


@pytest.mark.parametrize("memory", ["gpu", "host"])
def test_a_neighbour_sees_the_service_s_gpu_and_asks_the_scheduler_for_none(memory: Any) -> None:
    breakage = ExhaustGpuMemory(leave=MIB, memory=memory, device=1)
    hog = Hog(runtime_class="nvidia", visible_devices="0,1")
    pod = neighbour("one", "node-7", breakage, mark="mark", hog=hog)
    spec = pod["spec"]
    (container,) = spec["containers"]
    seen = {one["name"]: one["value"] for one in container["env"]}
    assert spec["nodeName"] == "node-7"
    assert "nvidia.com/gpu" not in json.dumps(pod)
    if memory == "gpu":
        assert spec["runtimeClassName"] == "nvidia"
        assert seen["NVIDIA_VISIBLE_DEVICES"] == "0,1"
        assert container["args"][1:7] == ["--memory", "gpu", "--leave", str(MIB), "--device", "1"]
    else:
        assert ("runtimeClassName" in spec, seen) == (False, {})


@pytest.mark.process
def test_memory_is_taken_on_the_node_of_the_service_s_pod_and_given_back(shop: Shop) -> None:
    async def neighbours() -> list[Any]:
        found = await shop.api.list(shop.path("pods"), labels="app.kubernetes.io/managed-by=brownout")
        return [one for one in found if "deletionTimestamp" not in one["metadata"]]

    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(
                ServicePlace("inference-1"), ExhaustGpuMemory(leave=4 * MIB, memory="host"), lease="run.1", ttl=5.0
            )
            (one,) = await neighbours()
            (beside, *_) = await shop.pods("inference")
            assert one["spec"]["nodeName"] == beside["spec"]["nodeName"]
            proof = await it.prove("run.1")
            assert proof.works, proof.summary
            assert "host memory: 60 MiB taken, 4 MiB left of the 64 MiB it may have" in proof.summary
            assert "Chaos Mesh" not in proof.summary
            # As the janitor would, with its rights and no others.
            (held,) = await shop.ledger.held()
            with closing(Api.of(kubeconfig=str(shop.restricted), context="janitor")) as janitor:
                await Ledger(janitor, shop.namespace).undo(held)
            assert await neighbours() == []
            assert await shop.ledger.held() == []

            with pytest.raises(FaultError, match="no GPU memory can be taken: there is no CUDA driver"):
                await it.inject(
                    ServicePlace("inference-1"), ExhaustGpuMemory(leave=0, memory="gpu"), lease="run.2", ttl=5.0
                )
            assert await neighbours() == []
            assert await shop.ledger.held() == []

    asyncio.run(play())
