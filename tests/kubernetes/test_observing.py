"""What a cluster tells of itself becomes evidence: against a real API server and its own controllers."""

import asyncio
import contextlib
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest

from brownout.errors import EnvironmentProblem
from brownout.fixtures.kubernetes.api import Api, Call
from brownout.fixtures.kubernetes.namespace import Namespace
from brownout.fixtures.kubernetes.observing import Observing
from brownout.fixtures.kubernetes.reader import read_description
from brownout.target import Happening, Reading
from tests.kubernetes.cluster import PAUSE, Cluster
from tests.kubernetes.relay import Relay, relayed
from tests.kubernetes.shop import PATIENCE, Shop, opened

pytestmark = pytest.mark.process
SERVICE = {"metadata": {"name": "inference"}, "spec": {"selector": {"app": "inference"}, "ports": [{"port": 8000}]}}
AUTOSCALER = {
    "metadata": {"name": "inference"},
    "spec": {
        "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "inference"},
        "minReplicas": 1,
        "maxReplicas": 6,
        "metrics": [
            {
                "type": "Resource",
                "resource": {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}},
            }
        ],
    },
}


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    cluster.needs_pause()
    with opened(cluster, tmp_path_factory.mktemp("shop"), image=PAUSE) as found:
        yield found


class Watched:
    """A shop as a run's recorders watch it."""

    def __init__(self, api: Api, shop: Shop) -> None:
        self.namespace = Namespace(api, shop.namespace, read_description(shop.description))
        self.observing = Observing(self.namespace)
        self.happened: list[Happening] = []
        self.readings: Sequence[Reading] = ()

    async def begin(self) -> None:
        await self.namespace.learn()
        await self.namespace.look()
        await self.observing.begin()

    async def look(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.namespace.look()
            self.readings = await self.observing.readings()
            self.happened += await self.observing.happenings()

    async def until(self, seen: Callable[[], bool]) -> None:
        async with asyncio.timeout(PATIENCE):
            await self.look()
            while not seen():
                await asyncio.sleep(0.1)
                await self.look()

    def of(self, *words: str) -> list[Happening]:
        return [one for one in self.happened if all(word in one.text for word in words)]

    def figure(self, metric: str, **labels: str) -> float | None:
        wanted = labels.items()
        return next(
            (one.value for one in self.readings if one.metric == metric and wanted <= dict(one.labels).items()), None
        )


async def by_itself(watched: Watched, shop: Shop) -> None:
    """A pod more and a pod less, by their owner."""
    began = time.time()
    await shop.change("deployments", "inference", replicas=3)
    await watched.until(lambda: bool(watched.of("endpoints of inference: 4 → 3") and watched.of("is gone")))
    await shop.change("deployments", "inference", replicas=4)
    await watched.until(lambda: bool(watched.of("endpoints of inference: 3 → 4")))
    await watched.until(lambda: bool(watched.of("SuccessfulCreate: replicaset inference-")))
    (gone,), (made,), (ready,) = watched.of("is gone"), watched.of("was created"), watched.of("is ready")
    assert began <= gone.at <= made.at <= ready.at <= time.time()


async def meanwhile(watched: Watched, shop: Shop, relay: Relay) -> None:
    """A pod that is killed and replaced while the API server does not answer us."""
    relay.cut()
    (killed, *_) = pods = await shop.pods("inference")
    others = {one["metadata"]["name"] for one in pods}
    name = killed["metadata"]["name"]
    await shop.api.do(Call("DELETE", shop.path("pods", name), {"gracePeriodSeconds": 0}))

    async def replaced() -> bool:
        return len({one["metadata"]["name"] for one in await shop.pods("inference")} - others) == 1

    await shop.until(replaced)
    await watched.look()
    # So that the API's times, which are whole seconds, tell it from when the server was back.
    await asyncio.sleep(3.0)
    mended, before = time.time(), len(watched.happened)
    relay.mend()
    await watched.until(lambda: bool(watched.of(f"pod {name} is gone")))
    await watched.until(lambda: len(watched.of("SuccessfulCreate: replicaset inference-")) == 2)
    late = watched.happened[before:]
    (made,) = (one for one in late if one.text.endswith("was created"))
    (event,) = (one for one in late if one.text.startswith("SuccessfulCreate"))
    assert made.at < mended - 1.0
    assert event.at < mended - 1.0
    assert event.kind == "platform"


async def decided(watched: Watched, shop: Shop) -> None:
    """What an autoscaler does: its range is moved, so that it needs no metrics for it."""
    await watched.until(lambda: watched.figure("autoscaler_current_replicas", service="inference") == 4)
    change = [{"op": "replace", "path": "/spec/minReplicas", "value": 5}]
    await shop.api.do(Call("PATCH", f"{autoscalers(shop)}/inference", change))
    await watched.until(lambda: bool(watched.of("autoscaler inference scales inference: 4 → 5")))
    await watched.until(lambda: bool(watched.of("SuccessfulRescale: horizontalpodautoscaler inference")))
    await watched.until(lambda: watched.figure("service_endpoints", service="inference") == 5)
    assert watched.figure("autoscaler_desired_replicas", service="inference") == 5
    assert watched.figure("autoscaler_condition", type="AbleToScale") == 1


def autoscalers(shop: Shop) -> str:
    return f"/apis/autoscaling/v2/namespaces/{shop.namespace}/horizontalpodautoscalers"


def test_pods_endpoints_decisions_and_events_are_told_those_of_an_outage_of_the_server_too(
    shop: Shop, tmp_path: Path
) -> None:
    there = tmp_path / "relayed.kubeconfig"

    async def work() -> None:
        await shop.make("services", SERVICE)
        await shop.api.do(Call("POST", autoscalers(shop), AUTOSCALER))
        async with relayed(shop.restricted, there) as relay:
            with contextlib.closing(Api.of(kubeconfig=str(there), context="restricted")) as api:
                watched = Watched(api, shop)
                await watched.begin()
                await watched.until(lambda: watched.figure("service_endpoints", service="inference") == 4)
                await watched.until(lambda: watched.figure("service_pods", service="store", phase="Running") == 1)
                watched.happened.clear()
                await by_itself(watched, shop)
                await meanwhile(watched, shop, relay)
                await decided(watched, shop)
                texts = [(one.at, one.text) for one in watched.happened]
                assert len(texts) == len(set(texts))

    asyncio.run(work())


def test_a_role_that_may_not_read_it_is_told_to_be_applied_anew(shop: Shop) -> None:
    """The janitor's has not these rights."""

    async def begin() -> None:
        with contextlib.closing(Api.of(kubeconfig=str(shop.restricted), context="janitor")) as api:
            namespace = Namespace(api, shop.namespace, read_description(shop.description))
            await namespace.learn()
            await Observing(namespace).begin()

    with pytest.raises(EnvironmentProblem, match=r"\(403\); the role of .*rbac.yaml .* apply it anew"):
        asyncio.run(begin())
