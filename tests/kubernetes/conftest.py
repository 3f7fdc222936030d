"""A cluster that the environment names, or a reason to skip."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from brownout.fixtures.docker.images import variable_of
from tests.kubernetes.cluster import VARIABLE, Cluster
from tests.kubernetes.images import on_nodes
from tests.kubernetes.sharing import OF_STACK, ByModule, alone, shared


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> ByModule:
    config.option.loadscopereorder = False
    return ByModule(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest goes first."""
    items.sort(key=lambda one: OF_STACK.index(one.path.name) if one.path.name in OF_STACK else len(OF_STACK))


@pytest.fixture
def node_alone() -> None:
    """For a test that takes the node away, or needs all of its processors: no other one runs beside it."""


@pytest.fixture(autouse=True)
def _beside_others(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    workers = tmp_path_factory.getbasetemp().parent
    with alone(workers) if "node_alone" in request.fixturenames else shared(workers):
        yield


@pytest.fixture(scope="session")
def cluster() -> Cluster:
    """The cluster of $BROWNOUT_TEST_KUBECONFIG, by that file's current context."""
    named = os.environ.get(VARIABLE)
    if not named:
        pytest.skip(f"no cluster: {VARIABLE} names none (tools/with_kubernetes COMMAND starts one for a command)")
    kubernetes = pytest.importorskip("kubernetes", reason="the official client is not installed: brownout[kubernetes]")
    _, active = kubernetes.config.list_kube_config_contexts(named)
    with kubernetes.config.new_client_from_config(named, context=active["name"]) as api:
        nodes = kubernetes.client.CoreV1Api(api).list_node(_request_timeout=10).items
    return Cluster(kubeconfig=Path(named), context=active["name"], has_nodes=bool(nodes))


@pytest.fixture(scope="session")
def images(cluster: Cluster) -> Mapping[str, str]:
    """The stack's images, on the node; the usual name of each, and what it is there."""
    cluster.needs_nodes()
    usual = {
        "pgvector/pgvector": "BROWNOUT_IMAGE_VECTOR_DB",
        "valkey/valkey": "BROWNOUT_IMAGE_CACHE",
        "brownout/target-stack": "BROWNOUT_IMAGE_STACK",
    }
    made = on_nodes("images", *usual.values())
    return {name: made[variable] for name, variable in usual.items()}


@pytest.fixture(scope="session")
def proxy_image(cluster: Cluster) -> str:
    """The fault proxy's, on the node: the one that the environment names, or one that is made."""
    cluster.needs_nodes()
    variable = variable_of("proxy")
    return os.environ.get(variable) or on_nodes("images", variable)[variable]
