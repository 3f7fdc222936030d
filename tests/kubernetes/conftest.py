"""A cluster that the environment names, or a reason to skip."""

import os
import shlex
import subprocess
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.kubernetes.cluster import LOAD, VARIABLE, Cluster


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
    if not cluster.has_nodes:
        pytest.skip("no pod runs here: the cluster has no node")
    command = os.environ.get(LOAD)
    if command is None:
        pytest.skip(f"{LOAD} names no command that loads images")
    engine = pytest.importorskip("brownout.fixtures.docker.engine")
    if lacks := engine.missing():
        pytest.skip(f"the images are made with docker: {'; '.join(lacks)}")
    from tools import docker_images

    client = engine.connect()
    try:
        made = docker_images.images(client)
    except docker_images.Unavailable as problem:
        pytest.skip(f"no images: {problem}")
    finally:
        client.close()
    wanted = {
        "pgvector/pgvector": made["BROWNOUT_IMAGE_VECTOR_DB"],
        "valkey/valkey": made["BROWNOUT_IMAGE_CACHE"],
        "brownout/target-stack": made["BROWNOUT_IMAGE_STACK"],
    }
    with subprocess.Popen(["docker", "save", *wanted.values()], stdout=subprocess.PIPE) as saved:
        subprocess.run(shlex.split(command), stdin=saved.stdout, capture_output=True, check=True)
    return wanted
