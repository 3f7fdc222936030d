"""What an autoscaler asks for: the API group metrics.k8s.io, for which a program of ours answers (./metrics)."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tools.kubernetes.control_plane import Access

API_SERVICE = "v1beta1.metrics.k8s.io"
_NAME, _NAMESPACE, _PORT = "metrics-server", "kube-system", 4443


def command(binaries: Path, access: Access, kubeconfig: Path, *, address: str) -> list[str]:
    """How the program is started: where it listens, and that nobody but the API server may ask it."""
    # The API server asks for that name, wherever the service leads.
    name = f"{_NAME}.{_NAMESPACE}.svc"
    pair = access.authority.issue(name, at=[name])
    return [
        *(str(binaries / "metrics"), f"--kubeconfig={kubeconfig}", f"--listen={address}:{_PORT}"),
        *(f"--certificate={pair.certificate}", f"--key={pair.key}", f"--callers={access.aggregator}"),
    ]


def objects(authority: str, *, address: str) -> Sequence[dict[str, Any]]:
    """The objects by which the API server passes requests on to it; `authority` is what signed for it, in base 64."""
    group, version = "metrics.k8s.io", "v1beta1"
    readers = [f"rbac.authorization.k8s.io/aggregate-to-{role}" for role in ("view", "edit", "admin")]
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": _NAME, "namespace": _NAMESPACE},
            # It is not a pod, and the API server knows no other way to an address that is not a service's own.
            "spec": {"type": "ExternalName", "externalName": address},
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": API_SERVICE},
            "spec": {
                "group": group,
                "version": version,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
                "service": {"name": _NAME, "namespace": _NAMESPACE, "port": _PORT},
                "caBundle": authority,
            },
        },
        {
            # As metrics-server has it: whoever may see a namespace may see what its pods use.
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "ClusterRole",
            "metadata": {"name": "system:aggregated-metrics-reader", "labels": dict.fromkeys(readers, "true")},
            "rules": [{"apiGroups": [group], "resources": ["pods", "nodes"], "verbs": ["get", "list", "watch"]}],
        },
    )
