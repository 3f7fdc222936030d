"""The reference stack as it ships comes up in a namespace that restricts pods, and is more than objects."""

import json
import urllib.request
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.kubernetes.cluster import Cluster, until
from tests.kubernetes.kubectl import Kubectl

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def pods(cluster: Cluster) -> Iterator[Kubectl]:
    cluster.needs_nodes()
    with Kubectl.in_namespace(cluster, f"pods-{uuid.uuid4().hex[:8]}") as found:
        yield found


def test_the_reference_stack_comes_up_ready_and_answers(
    pods: Kubectl, images: Mapping[str, str], tmp_path: Path
) -> None:
    overlay = Kubectl.overlay(tmp_path, ROOT / "target-stack" / "kubernetes", images=images)
    pods("label", "namespace", pods.namespace, "pod-security.kubernetes.io/enforce=restricted")
    pods("apply", "--kustomize", str(overlay))
    every = ("deployments,statefulsets", "--selector=app.kubernetes.io/part-of=target-stack")
    pods("rollout", "status", *every, "--timeout=240s")
    answer = _asked(pods, "Who may sign for a delivery?")
    assert answer["serving"]["degradation_level"] == 0
    # By its service: which of the two workers it was, the gateway does not know.
    assert answer["serving"]["provider"].startswith("inference-")
    until(lambda: _figure(pods, "inference") is not None)
    eviction = tmp_path / "eviction.json"
    metadata = {"name": "vector-db-0", "namespace": pods.namespace}
    eviction.write_text(json.dumps({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": metadata}))
    path = f"/api/v1/namespaces/{pods.namespace}/pods/vector-db-0/eviction"
    assert "disruption budget" in pods.run("create", "--raw", path, "--filename", str(eviction)).stderr


def _figure(pods: Kubectl, scaler: str) -> int | None:
    """The share of their requested processor time that an autoscaler knows its pods to use."""
    status = json.loads(pods("get", "hpa", scaler, "--output", "json"))["status"]
    (metric,) = status.get("currentMetrics") or [{}]
    found: int | None = metric.get("resource", {}).get("current", {}).get("averageUtilization")
    return found


def _asked(pods: Kubectl, question: str) -> dict[str, dict[str, object]]:
    address = pods("get", "service", "gateway", "--output", "jsonpath={.spec.clusterIP}")
    body = json.dumps({"messages": [{"role": "user", "content": question}]}).encode()
    headers = {"Authorization": "Bearer look-around", "Content-Type": "application/json"}
    request = urllib.request.Request(f"http://{address}:8000/v1/chat/completions", body, headers)
    with urllib.request.urlopen(request, timeout=30) as response:  # noqa: S310 - an address of ours
        return dict(json.load(response))
