"""A cluster to test against: which one, and what it has."""

from dataclasses import dataclass
from pathlib import Path

VARIABLE = "BROWNOUT_TEST_KUBECONFIG"
"""The environment variable that names a kubeconfig: of kind, of k3s, or of tools/with_kubernetes, which sets it."""
LOAD = "BROWNOUT_TEST_LOAD_IMAGES"
"""Another: a command that takes an archive of images on standard input; tools/with_kubernetes sets it."""


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes that tests may use: they make namespaces of their own, and take them away again."""

    kubeconfig: Path
    context: str
    has_nodes: bool
    """Pods run. Without, there is a control plane alone: objects are kept and controlled, but nothing starts."""
