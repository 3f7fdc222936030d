"""A service whose pods are replaced so that it opens new connections, and what is told where they do not come up."""

import asyncio
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from brownout.errors import FaultError
from brownout.fixtures.kubernetes.api import Api, Call
from brownout.fixtures.kubernetes.namespace import Namespace
from brownout.fixtures.kubernetes.reader import read_description
from brownout.fixtures.kubernetes.reconnecting import reconnect, renewed
from brownout.fixtures.kubernetes.waiting import why_waiting
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shop import Shop, opened


def workload(*, generation: int = 2, observed: int = 2, **counts: int) -> Any:
    status = {"replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "observedGeneration": observed} | counts
    return {"metadata": {"generation": generation}, "spec": {"replicas": 2}, "status": status}


def test_pods_are_renewed_once_all_are_new_and_ready_and_the_controller_has_seen_what_was_asked() -> None:
    assert renewed(workload())
    assert not renewed(workload(observed=1))
    assert not renewed(workload(updatedReplicas=1))
    assert not renewed(workload(replicas=3))
    assert not renewed(workload(readyReplicas=1))
    assert not renewed({"metadata": {"generation": 1}, "spec": {"replicas": 2}})


def test_why_pods_wait_is_told_in_the_clusters_words() -> None:
    full = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 No preemption victims."
    pending = {"status": {"conditions": [{"type": "PodScheduled", "status": "False", "message": full}]}}
    state = {"waiting": {"reason": "ImagePullBackOff", "message": "Back-off"}}
    pulling = {"status": {"containerStatuses": [{"state": state}, {"state": {"running": {}}}]}}
    runs = {"status": {"conditions": [{"type": "PodScheduled", "status": "True"}]}}

    assert why_waiting([pending, pulling, runs, {}]) == {
        "ImagePullBackOff",
        "0/1 nodes are available: 1 Insufficient cpu.",
    }


@pytest.fixture
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(cluster, tmp_path_factory.mktemp("shop")) as found:
        yield found


async def restarted(shop: Shop, service: str, **options: Any) -> None:
    """By the restricted account."""
    with closing(Api.of(kubeconfig=str(shop.restricted), context="restricted")) as api:
        namespace = Namespace(api, shop.namespace, read_description(shop.description))
        await namespace.learn()
        await reconnect(namespace, namespace.description.of(service), at="test", **options)


def uids(pods: list[Any]) -> set[str]:
    return {one["metadata"]["uid"] for one in pods}


@pytest.mark.process
@pytest.mark.parametrize(("service", "pods"), [("inference", 4), ("store", 1)])
def test_every_pod_of_a_deployment_or_a_statefulset_is_another_one_afterwards(
    shop: Shop, service: str, pods: int
) -> None:
    async def all_there() -> bool:
        return len(await shop.pods(service)) == pods

    async def play() -> None:
        await shop.until(all_there)
        before = uids(await shop.pods(service))
        await restarted(shop, service)
        after = uids(await shop.pods(service))
        assert len(after) == pods
        assert not before & after

    asyncio.run(play())


@pytest.mark.process
def test_pods_that_do_not_come_up_are_told_with_what_they_wait_for(shop: Shop) -> None:
    async def play() -> None:
        containers = [{"op": "add", "path": "/spec/template/spec/containers/0/image", "value": "no-such-image"}]
        await shop.api.do(Call("PATCH", shop.path("deployments", "gateway"), containers))
        with pytest.raises(FaultError, match=r"gateway was restarted .* not come up after 3 s: .*; ImagePullBackOff"):
            await restarted(shop, "gateway", within=3.0)

    asyncio.run(play())
