"""What an autoscaler decides on the cluster that tools/with_kubernetes makes: by the figures that its nodes have."""

import json
import socket
import uuid
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import Any

import pytest

from tests.kubernetes.cluster import PAUSE, Cluster, until
from tests.kubernetes.kubectl import Kubectl

NAME = "worker"
_PORT = 8000


@pytest.fixture
def kubectl(cluster: Cluster) -> Iterator[Kubectl]:
    cluster.needs_pause()
    with Kubectl.in_namespace(cluster, f"autoscaling-{uuid.uuid4().hex[:8]}") as found:
        yield found


def objects() -> list[dict[str, Any]]:
    """A worker that is busy while somebody is connected, and an autoscaler of it that does not hesitate."""
    labels = {"name": NAME}
    container = {
        "name": NAME,
        "image": PAUSE,
        "args": ["work", str(_PORT)],
        "readinessProbe": {"tcpSocket": {"port": _PORT}, "periodSeconds": 2},
        "resources": {"requests": {"cpu": "50m", "memory": "8Mi"}, "limits": {"cpu": "200m", "memory": "64Mi"}},
    }
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {
                "metadata": {"labels": labels},
                "spec": {"containers": [container], "terminationGracePeriodSeconds": 1},
            },
        },
    }
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": NAME},
        "spec": {"selector": labels, "ports": [{"port": _PORT}]},
    }
    resource = {"name": "cpu", "target": {"type": "Utilization", "averageUtilization": 50}}
    scaler = {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": NAME},
        "spec": {
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": NAME},
            "minReplicas": 1,
            "maxReplicas": 3,
            "metrics": [{"type": "Resource", "resource": resource}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": 0}},
        },
    }
    return [deployment, service, scaler]


def test_an_autoscaler_scales_out_under_load_and_in_again_without(kubectl: Kubectl) -> None:
    kubectl("apply", "--filename", "-", given=json.dumps({"apiVersion": "v1", "kind": "List", "items": objects()}))
    kubectl("rollout", "status", f"deployment/{NAME}", "--timeout=120s")

    def status() -> dict[str, Any]:
        return dict(json.loads(kubectl("get", "hpa", NAME, "--output", "json"))["status"])

    def utilization() -> int | None:
        (metric,) = status().get("currentMetrics") or [{}]
        found: int | None = metric.get("resource", {}).get("current", {}).get("averageUtilization")
        return found

    def ready() -> int:
        return int(kubectl("get", "deployment", NAME, "--output", "jsonpath={.status.readyReplicas}") or 0)

    def told() -> str:
        return kubectl("describe", "hpa", NAME)

    until(lambda: utilization() is not None and ready() == 1, told)
    address = kubectl("get", "service", NAME, "--output", "jsonpath={.spec.clusterIP}")
    with closing(connected(address)):
        until(lambda: ready() == 3, told)
    until(lambda: ready() == 1, told)
    decided = kubectl("get", "events", "--field-selector=reason=SuccessfulRescale", "--output", "yaml")
    assert "above target" in decided, told()
    assert "below target" in decided, told()
    conditions = {one["type"]: one["status"] for one in status()["conditions"]}
    assert conditions["ScalingActive"] == "True"
    assert NAME in kubectl("top", "pods", "--no-headers")


def connected(address: str) -> socket.socket:
    """A connection to the service, which is refused until its pod is known there."""
    found: list[socket.socket] = []

    def reached() -> bool:
        with suppress(OSError):
            found.append(socket.create_connection((address, _PORT), timeout=5))
        return bool(found)

    until(reached)
    return found[0]
