"""Every fault does what it says to a real API server, with no rights but the shipped role's, and is undone."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from brownout.breakage import (
    Blackhole,
    Breakage,
    Delay,
    Drain,
    Evict,
    FailImagePull,
    FailReadiness,
    Kill,
    LinkPlace,
    Place,
    RolloutRestart,
    ScaleToZero,
    ServicePlace,
    SetMemoryLimit,
)
from brownout.errors import EnvironmentProblem, FaultError
from brownout.fixtures.kubernetes import KubernetesTarget
from brownout.fixtures.kubernetes.api import Api, Call, Refused
from brownout.fixtures.kubernetes.rollouts import NO_IMAGE
from tests.kubernetes.cluster import Cluster
from tests.kubernetes.shop import SHIPPED, Shop, breaking, opened

pytestmark = pytest.mark.process
INFERENCE = ServicePlace("inference")


@pytest.fixture(scope="module")
def shop(cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with opened(cluster, tmp_path_factory.mktemp("shop")) as found:
        yield found


async def template(shop: Shop) -> Any:
    return (await shop.get("deployments", "inference"))["spec"]["template"]["spec"]["containers"][0]


async def on_and_off(shop: Shop, place: Place, breakage: Breakage, look: Any) -> tuple[Any, Any, Any, str]:
    """What `look` sees before, while it is on and after; and the proof."""
    async with breaking(shop) as it:
        before = await look()
        await it.inject(place, breakage, lease="run.1", ttl=5.0)
        (held,) = await shop.ledger.held()
        assert str(place) in held.fault
        await it.renew("run.1")
        during = await look()
        proof = await it.prove("run.1")
        assert proof.works, proof.summary
        await it.heal("run.1")
        await it.heal("run.1")
        assert await shop.ledger.held() == []
        return before, during, await look(), proof.summary


def test_a_killed_pod_is_gone_at_once_and_replaced_by_its_owner(shop: Shop) -> None:
    async def look() -> set[str]:
        return {one["metadata"]["uid"] for one in await shop.pods("inference")}

    before, during, _, proof = asyncio.run(on_and_off(shop, ServicePlace("inference-2"), Kill(), look))

    assert len(before) == 4
    assert len(before - during) == 1
    assert "1 of 1 pods taken" in proof


def test_no_more_pods_are_taken_at_once_than_the_owner_allows(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            await it.inject(ServicePlace("inference-1"), Kill(), lease="run.1", ttl=5.0)
            with pytest.raises(FaultError, match="2 pods of inference at once, and no more than 1 may be; at-most in"):
                await it.inject(ServicePlace("inference-2"), Kill(), lease="run.2", ttl=5.0)
            with pytest.raises(FaultError, match="5 pods of inference at once"):
                await it.inject(INFERENCE, Kill(), lease="run.3", ttl=5.0)
            await it.heal("run.1")
            await it.inject(ServicePlace("inference-2"), Kill(), lease="run.4", ttl=5.0)
            await it.heal("run.4")

    asyncio.run(play())


def test_an_eviction_is_refused_where_a_disruption_budget_says_so(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            spec = {"minAvailable": 4, "selector": {"matchLabels": {"app": "inference"}}}
            await shop.make("poddisruptionbudgets", {"metadata": {"name": "all"}, "spec": spec})
            before = {one["metadata"]["uid"] for one in await shop.pods("inference")}
            with pytest.raises(FaultError, match=r"disruption budget.*\(429\)"):
                await it.inject(ServicePlace("inference-1"), Evict(), lease="run.1", ttl=5.0)
            assert {one["metadata"]["uid"] for one in await shop.pods("inference")} == before
            assert await shop.ledger.held() == []
            await shop.change("poddisruptionbudgets", "all", minAvailable=3)

            async def allowed() -> bool:
                status = (await shop.get("poddisruptionbudgets", "all"))["status"]
                return bool(status.get("disruptionsAllowed"))

            await shop.until(allowed)
            await it.inject(ServicePlace("inference-1"), Evict(), lease="run.1", ttl=5.0)
            assert (await it.prove("run.1")).works
            await it.heal("run.1")
            await shop.api.do(Call("DELETE", shop.path("poddisruptionbudgets", "all")))

    asyncio.run(play())


def test_a_service_without_replicas_gets_as_many_as_it_had(shop: Shop) -> None:
    async def look() -> int:
        return int((await shop.get("deployments", "inference"))["spec"]["replicas"])

    before, during, after, _ = asyncio.run(on_and_off(shop, INFERENCE, ScaleToZero(), look))

    assert (before, during, after) == (4, 0, 4)


def test_a_rollout_with_a_wrong_image_keeps_the_old_pods_and_is_taken_back(shop: Shop) -> None:
    async def look() -> str:
        return str((await template(shop))["image"])

    before, during, after, _ = asyncio.run(on_and_off(shop, INFERENCE, FailImagePull(), look))

    assert (before, during, after) == ("example.invalid/inference:1", NO_IMAGE, "example.invalid/inference:1")


def test_a_readiness_probe_that_always_fails_is_taken_back(shop: Shop) -> None:
    async def look() -> Any:
        return (await template(shop))["readinessProbe"]

    before, during, after, _ = asyncio.run(on_and_off(shop, INFERENCE, FailReadiness(), look))

    assert before == after
    assert during["tcpSocket"] == {"port": 1}
    assert "httpGet" not in during


def test_a_memory_limit_takes_the_request_down_with_it_and_both_are_taken_back(shop: Shop) -> None:
    async def look() -> Any:
        return (await template(shop))["resources"]

    before, during, after, _ = asyncio.run(on_and_off(shop, INFERENCE, SetMemoryLimit(limit=33554432), look))

    assert before == after == {"requests": {"memory": "96Mi"}, "limits": {"memory": "128Mi"}}
    assert during == {"requests": {"memory": "33554432"}, "limits": {"memory": "33554432"}}


def test_a_restarted_rollout_replaces_every_pod_and_nothing_is_put_back(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            before = {one["metadata"]["uid"] for one in await shop.pods("inference")}
            await it.inject(INFERENCE, RolloutRestart(), lease="run.1", ttl=5.0)

            async def replaced() -> bool:
                pods = {one["metadata"]["uid"] for one in await shop.pods("inference")}
                return len(pods) == 4 and not before & pods

            await shop.until(replaced)
            await it.heal("run.1")

    asyncio.run(play())


def test_a_partition_is_a_policy_at_the_end_that_no_other_policy_selects(shop: Shop) -> None:
    async def look() -> list[Any]:
        return list(await shop.api.list(shop.path("networkpolicies"), labels="app.kubernetes.io/managed-by=brownout"))

    link = LinkPlace("gateway", "inference")
    before, (policy,), after, _ = asyncio.run(on_and_off(shop, link, Blackhole(), look))

    assert before == after == []
    spec = policy["spec"]
    assert spec["podSelector"] == {"matchLabels": {"app": "inference"}}
    assert spec["policyTypes"] == ["Ingress"]
    (rule,) = spec["ingress"]
    assert rule["from"][0] == {
        "podSelector": {"matchExpressions": [{"key": "app", "operator": "NotIn", "values": ["gateway"]}]}
    }
    assert {"cidr": "0.0.0.0/0", "except": ["10.250.0.9/32"]} in [one.get("ipBlock") for one in rule["from"]]


def test_where_other_policies_select_one_end_it_is_the_other_and_where_both_it_is_refused(shop: Shop) -> None:
    async def play() -> None:
        body = {"podSelector": {"matchLabels": {"app": "store"}}, "policyTypes": ["Ingress"], "ingress": [{}]}
        await shop.make("networkpolicies", {"metadata": {"name": "to-store"}, "spec": body})
        link = LinkPlace("inference", "store")

        async def look() -> list[Any]:
            return [
                one["spec"]
                for one in await shop.api.list(shop.path("networkpolicies"))
                if one["metadata"]["name"] != "to-store"
            ]

        before, (spec,), after, _ = await on_and_off(shop, link, Blackhole(), look)
        assert before == after == []
        assert (spec["podSelector"], spec["policyTypes"]) == ({"matchLabels": {"app": "inference"}}, ["Egress"])
        await shop.make(
            "networkpolicies", {"metadata": {"name": "all-out"}, "spec": {"podSelector": {}, "policyTypes": ["Egress"]}}
        )
        async with breaking(shop) as it:
            with pytest.raises(FaultError, match=r"at neither end .* because of to-store, all-out"):
                await it.inject(link, Blackhole(), lease="run.1", ttl=5.0)
        for name in ("to-store", "all-out"):
            await shop.api.do(Call("DELETE", shop.path("networkpolicies", name)))

    asyncio.run(play())


def test_where_policies_allow_that_link_alone_they_are_narrowed_and_put_back(shop: Shop) -> None:
    async def play() -> None:
        every = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"], "egress": [{"ports": [{"port": 53}]}]}
        peers = [{"podSelector": {}}, {"namespaceSelector": {"matchLabels": {"team": "a"}}}]
        own = {
            "podSelector": {"matchLabels": {"app": "inference"}},
            "policyTypes": ["Ingress"],
            "ingress": [{"from": peers, "ports": [{"port": 8000, "protocol": "TCP"}]}],
        }
        for name, spec in (("nothing-else", every), ("to-inference", own)):
            await shop.make("networkpolicies", {"metadata": {"name": name}, "spec": spec})

        async def look() -> Any:
            found = {one["metadata"]["name"]: one["spec"] for one in await shop.api.list(shop.path("networkpolicies"))}
            assert found.keys() == {"nothing-else", "to-inference"}
            return found["to-inference"]["ingress"]

        link = LinkPlace("gateway", "inference")
        before, during, after, _ = await on_and_off(shop, link, Blackhole(), look)
        assert before == after == own["ingress"]
        not_gateway = {"key": "app", "operator": "NotIn", "values": ["gateway"]}
        elsewhere = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": [shop.namespace]}
        team = {"matchLabels": {"team": "a"}}
        assert during[0]["ports"] == [{"port": 8000, "protocol": "TCP"}]
        assert during[0]["from"] == [
            {"podSelector": {"matchExpressions": [not_gateway]}},
            {"podSelector": {"matchExpressions": [not_gateway]}, "namespaceSelector": team},
            {"namespaceSelector": team | {"matchExpressions": [elsewhere]}},
        ]
        for name in ("nothing-else", "to-inference"):
            await shop.api.do(Call("DELETE", shop.path("networkpolicies", name)))

    asyncio.run(play())


def test_a_drained_node_is_cordoned_and_emptied_as_budgets_allow_and_uncordoned(shop: Shop) -> None:
    node, rights = f"{shop.namespace}-node", "/apis/rbac.authorization.k8s.io/v1"
    roles, bindings = f"{rights}/clusterroles", f"{rights}/clusterrolebindings"

    async def play() -> None:
        async with breaking(shop) as it:
            await shop.api.do(Call("POST", "/api/v1/nodes", {"metadata": {"name": node}}))
            role = yaml.safe_load(await asyncio.to_thread((SHIPPED / "rbac-nodes.yaml").read_text))
            role["metadata"]["name"] = shop.namespace
            await shop.api.do(Call("POST", roles, role))
            subject = {"kind": "ServiceAccount", "name": "brownout", "namespace": shop.namespace}
            ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": shop.namespace}
            body = {"metadata": {"name": shop.namespace}, "roleRef": ref, "subjects": [subject]}
            await shop.api.do(Call("POST", bindings, body))
            before = set()
            for pod in await shop.pods("inference"):
                before.add(pod["metadata"]["uid"])
                target = {"target": {"apiVersion": "v1", "kind": "Node", "name": node}}
                path = shop.path("pods", pod["metadata"]["name"]) + "/binding"
                await shop.api.do(Call("POST", path, {"metadata": {"name": pod["metadata"]["name"]}, **target}))
            spec = {"minAvailable": 3, "selector": {"matchLabels": {"app": "inference"}}}
            await shop.make("poddisruptionbudgets", {"metadata": {"name": "most"}, "spec": spec})
            await it.inject(INFERENCE, Drain(), lease="run.1", ttl=5.0)
            least = 4

            async def emptied() -> bool:
                nonlocal least
                pods = await shop.pods("inference")
                least = min(least, len(pods))
                return not before & {one["metadata"]["uid"] for one in pods}

            await shop.until(emptied)
            assert (await shop.api.get(f"/api/v1/nodes/{node}"))["spec"]["unschedulable"] is True
            assert (await it.prove("run.1")).works
            await it.heal("run.1")
            assert "unschedulable" not in (await shop.api.get(f"/api/v1/nodes/{node}"))["spec"]
            assert least >= 3

    try:
        asyncio.run(play())
    finally:
        made = [f"{one}/{shop.namespace}" for one in (roles, bindings)]
        for path in (f"/api/v1/nodes/{node}", *made, shop.path("poddisruptionbudgets", "most")):
            with contextlib.suppress(Refused):
                asyncio.run(shop.api.do(Call("DELETE", path)))


def test_a_pod_that_is_on_no_node_has_none_to_be_drained(shop: Shop) -> None:
    async def play() -> None:
        async with breaking(shop) as it:
            with pytest.raises(FaultError, match="is on no node yet"):
                await it.inject(INFERENCE, Drain(), lease="run.1", ttl=5.0)

    asyncio.run(play())


def test_the_shipped_role_reads_no_secret_and_writes_nothing_else(shop: Shop) -> None:
    async def play() -> None:
        api = Api.of(kubeconfig=str(shop.restricted), context="restricted")
        try:
            refused = [
                Call("GET", shop.path("secrets")),
                Call("GET", shop.path("secrets", "somebody-s")),
                Call("DELETE", shop.path("services", "inference")),
                Call("GET", shop.path("services", "inference:80") + "/proxy/"),
                Call("GET", shop.path("pods", "inference") + "/proxy/"),
                Call("GET", "/api/v1/namespaces"),
                Call("GET", "/api/v1/nodes"),
                Call("GET", "/api/v1/namespaces/kube-system/pods"),
                Call("DELETE", shop.path("deployments", "inference")),
                Call("POST", shop.path("pods"), {"metadata": {"name": "x"}, "spec": {"containers": []}}),
            ]
            for call in refused:
                with pytest.raises(Refused, match=r"\(403\)"):
                    await api.do(call)
        finally:
            api.close()

    asyncio.run(play())


def test_a_namespace_whose_owner_does_not_allow_it_is_not_attached_to(shop: Shop, monkeypatch: Any) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))

    async def attach(target: KubernetesTarget) -> None:
        await target.rehearse([(INFERENCE, RolloutRestart())], lambda _: None)

    async def label(value: str) -> None:
        operations = [{"op": "replace", "path": "/metadata/labels/brownout.dev~1chaos", "value": value}]
        await shop.api.do(Call("PATCH", f"/api/v1/namespaces/{shop.namespace}", operations))

    asyncio.run(attach(shop.target()))
    asyncio.run(label("forbidden"))
    with pytest.raises(EnvironmentProblem, match=r"does not allow chaos; .*brownout.dev/chaos=allowed"):
        asyncio.run(attach(shop.target()))
    assert asyncio.run(shop.target().heal_lapsed(force=False)) == []
    asyncio.run(label("allowed"))


def test_a_rehearsal_asks_the_server_and_changes_nothing(shop: Shop, monkeypatch: Any, tmp_path: Path) -> None:
    monkeypatch.setenv("KUBECONFIG", str(shop.restricted))
    told: list[str] = []

    async def play() -> None:
        # Until every service is ready.
        async with breaking(shop):
            pass
        before = await shop.get("deployments", "inference")
        pods = {one["metadata"]["uid"] for one in await shop.pods("inference")}
        steps: list[tuple[Place, Breakage]] = [
            (INFERENCE, ScaleToZero()),
            (ServicePlace("inference-1"), Kill()),
            (ServicePlace("inference-2"), Evict()),
            (LinkPlace("gateway", "inference"), Blackhole()),
            (LinkPlace("gateway", "inference"), Delay(latency=1.0)),
        ]
        service = {"selector": {"app": "inference"}, "ports": [{"port": 80, "targetPort": 8000}]}
        await shop.make("services", {"metadata": {"name": "inference"}, "spec": service})
        await shop.target().rehearse(steps, told.append)
        after = await shop.get("deployments", "inference")
        assert before["metadata"]["generation"] == after["metadata"]["generation"]
        assert {one["metadata"]["uid"] for one in await shop.pods("inference")} == pods
        assert await shop.ledger.held() == []
        assert await shop.api.list(shop.path("networkpolicies")) == []

    asyncio.run(play())
    text = "\n".join(told)
    assert '"stringData":{"token":"..."}' in text
    assert "services/brownout-proxy-1:control/proxy/proxies/port-8000/toxics" in text
    for call in (
        "POST /apis/coordination.k8s.io/v1",
        '"path":"/spec/replicas","value":0',
        "DELETE /api/v1/namespaces/",
    ):
        assert call in text
    assert text.count("the server would do it") == 14
