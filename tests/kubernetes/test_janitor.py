"""The janitor as it is shipped: its Deployment, its rights, and an image of ours, on a cluster with a node."""

import asyncio
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from brownout.fixtures.kubernetes.api import Call
from tests.kubernetes.cluster import PAUSE, Cluster
from tests.kubernetes.images import brownout_image
from tests.kubernetes.kubectl import Kubectl
from tests.kubernetes.shop import SHIPPED, Shop, opened
from tests.kubernetes.test_ledger import doomed
from tests.kubernetes.tiny_door import answering

pytestmark = pytest.mark.process
HOLD = "example.com/hold"


@pytest.fixture
def shop(cluster: Cluster, tmp_path: Path) -> Iterator[Shop]:
    cluster.needs_pause()
    image = brownout_image()
    with opened(cluster, tmp_path, image=PAUSE) as found:
        overlay = tmp_path / "overlay"
        overlay.mkdir()
        kubectl = Kubectl(cluster, found.namespace)
        kubectl("apply", "--kustomize", str(Kubectl.overlay(overlay, SHIPPED, images={"brownout/brownout": image})))
        kubectl("rollout", "status", "deployment/brownout-janitor", "--timeout=120s")
        yield found


def test_a_janitor_heals_after_a_killed_client_and_its_replacement_what_it_had_begun_when_it_was_killed(
    shop: Shop, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    monkeypatch.setenv("BROWNOUT_STATE_DIR", str(tmp_path / "state"))

    async def janitors() -> dict[str, Any]:
        """Names of its pods, by their ids."""
        found = await shop.api.list(shop.path("pods"), labels="app.kubernetes.io/name=brownout-janitor")
        running = [one["metadata"] for one in found if one["status"].get("phase") == "Running"]
        return {one["uid"]: one["name"] for one in running if "deletionTimestamp" not in one}

    async def hold(*finalizers: str) -> None:
        (policy,) = await shop.api.list(shop.path("networkpolicies"))
        operations = [{"op": "add", "path": "/metadata/finalizers", "value": list(finalizers)}]
        await shop.api.do(Call("PATCH", shop.path("networkpolicies", policy["metadata"]["name"]), operations))

    async def only_the_policy_is_left() -> bool:
        held = await shop.ledger.held()
        policies = await shop.api.list(shop.path("networkpolicies"))
        under_way = [one for one in policies if "deletionTimestamp" in one["metadata"]]
        return len(held) == 1 and held[0].holder.startswith("janitor/") and len(under_way) == 1

    async def whole() -> bool:
        store = (await shop.get("statefulsets", "store"))["spec"]["replicas"]
        inference = (await shop.get("deployments", "inference"))["spec"]["template"]["spec"]["containers"][0]["image"]
        policies = await shop.api.list(shop.path("networkpolicies"))
        return (store, inference, policies, await shop.ledger.held()) == (1, PAUSE, [], [])

    with answering() as door, doomed(shop, tmp_path, door) as process:
        # What is held up by others is what a janitor can be caught in the middle of.
        asyncio.run(hold(HOLD))
        process.send_signal(signal.SIGKILL)
        process.wait()

    asyncio.run(shop.until(only_the_policy_is_left))
    ((first, name),) = asyncio.run(janitors()).items()

    async def replaced() -> bool:
        return not {first} & (there := await janitors()).keys() and bool(there)

    asyncio.run(shop.api.do(Call("DELETE", shop.path("pods", name), {"gracePeriodSeconds": 0})))
    asyncio.run(shop.until(replaced))
    assert len(asyncio.run(shop.ledger.held())) == 1
    asyncio.run(hold())
    asyncio.run(shop.until(whole))
