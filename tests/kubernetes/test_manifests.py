"""What target-stack/kubernetes/ deploys, and whether a real API server takes it."""

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.kubernetes.cluster import Cluster
from tests.kubernetes.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]
STACK = ROOT / "target-stack" / "kubernetes"
COMPOSE = ROOT / "target-stack" / "compose.yaml"
PARTS = ("gateway", "inference", "embedding", "llm-primary", "llm-secondary", "vector-db", "cache")


@pytest.fixture(scope="module")
def rendered() -> Sequence[Mapping[str, Any]]:
    kubectl = shutil.which("kubectl")
    if kubectl is None:
        pytest.skip("no kubectl: it renders the kustomization")
    text = subprocess.run([kubectl, "kustomize", str(STACK)], capture_output=True, text=True, check=True).stdout
    return list(yaml.safe_load_all(text))


@pytest.fixture
def namespace(cluster: Cluster) -> Iterator[Kubectl]:
    """One of its own, in which Pod Security lets nothing in that is not restricted."""
    with Kubectl.in_namespace(cluster, f"manifests-{uuid.uuid4().hex[:8]}") as found:
        found("label", "namespace", found.namespace, "pod-security.kubernetes.io/enforce=restricted")
        yield found


def _of(kind: str, rendered: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    return {one["metadata"]["name"]: one for one in rendered if one["kind"] == kind}


def _workloads(rendered: Sequence[Mapping[str, Any]]) -> Mapping[str, Mapping[str, Any]]:
    return {**_of("Deployment", rendered), **_of("StatefulSet", rendered)}


def test_each_part_of_the_stack_has_a_workload_a_service_and_probes_and_limits(
    rendered: Sequence[Mapping[str, Any]],
) -> None:
    workloads = _workloads(rendered)
    assert set(workloads) == set(_of("Service", rendered)) == set(PARTS)
    for name, workload in workloads.items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        assert {"readinessProbe", "livenessProbe"} <= set(container), name
        assert set(container["resources"]["limits"]) == {"cpu", "memory"}, name
        assert set(container["resources"]["requests"]) == {"cpu", "memory"}, name


def test_the_parts_and_their_images_are_those_of_the_compose_file(rendered: Sequence[Mapping[str, Any]]) -> None:
    services = yaml.safe_load(COMPOSE.read_text(encoding="utf-8"))["services"]
    by_name = {name: re.sub(r"^\$\{\w+:-(.*)\}$", r"\1", one["image"]) for name, one in services.items()}
    for name, workload in _workloads(rendered).items():
        (container,) = workload["spec"]["template"]["spec"]["containers"]
        # The inference workers are there where the main model is self-hosted, which compose does not show.
        assert container["image"] == by_name["gateway" if name == "inference" else name]


def test_disruptions_of_what_has_one_replica_are_bounded_and_inference_keeps_one_of_two(
    rendered: Sequence[Mapping[str, Any]],
) -> None:
    budgets = {name: one["spec"] for name, one in _of("PodDisruptionBudget", rendered).items()}
    assert budgets["inference"]["minAvailable"] == 1
    assert _of("Deployment", rendered)["inference"]["spec"]["replicas"] == 2
    assert all(budgets[name]["minAvailable"] == 1 for name in ("gateway", "vector-db"))
    assert all(budgets[name]["maxUnavailable"] == 1 for name in ("embedding", "cache"))
    scaler = _of("HorizontalPodAutoscaler", rendered)["inference"]["spec"]
    assert scaler["scaleTargetRef"]["name"] == "inference"
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 4)


def test_every_link_of_the_gateway_is_allowed_by_a_policy_and_no_other_is(
    rendered: Sequence[Mapping[str, Any]],
) -> None:
    label = "app.kubernetes.io/component"
    policies = _of("NetworkPolicy", rendered)
    allowed = {
        (source["podSelector"]["matchLabels"][label], one["spec"]["podSelector"]["matchLabels"][label])
        for one in policies.values()
        for rule in one["spec"].get("ingress", ())
        for source in rule.get("from", ())
    }
    assert allowed == {("gateway", name) for name in PARTS if name != "gateway"}
    assert "ingress" not in policies["nothing-else"]["spec"]


def test_a_real_api_server_takes_the_stack_under_the_restricted_pod_security_standard(namespace: Kubectl) -> None:
    said = namespace("apply", "--dry-run=server", "--kustomize", str(STACK))
    assert said.count("created (server dry run)") == 30
    # Pod Security warns of a workload whose pods it would refuse.
    applied = namespace.run("apply", "--kustomize", str(STACK))
    assert "Warning" not in applied.stderr
    assert applied.stdout.count(" created") == 30


def test_images_are_replaced_by_a_kustomization_of_ones_own(namespace: Kubectl, tmp_path: Path) -> None:
    overlay = Kubectl.overlay(tmp_path, STACK, images={"valkey/valkey": "registry.example/mine/valkey:7"})
    namespace("apply", "--kustomize", str(overlay))
    path = "jsonpath={.spec.template.spec.containers[0].image}"
    assert namespace("get", "statefulset", "cache", "--output", path) == "registry.example/mine/valkey:7"


def test_the_service_monitor_is_a_component_for_clusters_that_know_its_kind(tmp_path: Path, cluster: Cluster) -> None:
    overlay = Kubectl.overlay(tmp_path, STACK, components=[STACK / "service-monitor"])
    kubectl = Kubectl(cluster, "default")
    everything = list(yaml.safe_load_all(kubectl("kustomize", str(overlay))))
    (monitor,) = _of("ServiceMonitor", everything).values()
    wanted = monitor["spec"]["selector"]["matchLabels"].items()
    found = [one for one in _of("Service", everything).values() if wanted <= one["metadata"]["labels"].items()]
    assert [(one["metadata"]["name"], one["spec"]["ports"][0]["name"]) for one in found] == [("gateway", "http")]
    assert {"port": "http", "path": "/metrics", "interval": "5s"} in monitor["spec"]["endpoints"]
