"""A cluster to test against: which one, and what it has."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

VARIABLE = "BROWNOUT_TEST_KUBECONFIG"
"""The environment variable that names a kubeconfig: of kind, of k3s, or of tools/with_kubernetes, which sets it."""
LOAD = "BROWNOUT_TEST_LOAD_IMAGES"
"""Another: a command that takes an archive of images on standard input; tools/with_kubernetes sets it."""
PAUSE = "brownout.dev/pause:1"
"""An image that tools/with_kubernetes puts on its node: a program that pauses, serves, dials or works."""
PATIENCE_S = 180.0


@dataclass(frozen=True, slots=True)
class Cluster:
    """A Kubernetes that tests may use: they make namespaces of their own, and take them away again."""

    kubeconfig: Path
    context: str
    has_nodes: bool
    """Pods run. Without, there is a control plane alone: objects are kept and controlled, but nothing starts."""

    def needs_nodes(self) -> None:
        """Skip where no pod runs."""
        if not self.has_nodes:
            pytest.skip("no pod runs here: the cluster has no node")

    def needs_pause(self) -> None:
        """Skip where no node has the image of tools/with_kubernetes."""
        self.needs_nodes()
        kubernetes = pytest.importorskip("kubernetes")
        with kubernetes.config.new_client_from_config(str(self.kubeconfig), context=self.context) as api:
            nodes = kubernetes.client.CoreV1Api(api).list_node(_request_timeout=10).items
        if not any(name.endswith(PAUSE) for node in nodes for image in node.status.images for name in image.names):
            pytest.skip(f"no node has the image {PAUSE}, which tools/with_kubernetes puts on its own")


def until(there: Callable[[], object], told: Callable[[], object] = lambda: "") -> None:
    """Ask until it is so: what others do in a cluster tells nobody when it is done. `told` is what else there was."""
    end = time.monotonic() + PATIENCE_S
    while not there():
        assert time.monotonic() < end, told()
        time.sleep(0.2)
