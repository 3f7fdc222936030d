"""Images of ours, made with docker and brought to the nodes of the cluster."""

import fcntl
import os
import shlex
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from tests.kubernetes.cluster import LOAD


@cache
def brownout_image() -> str:
    """The name of Brownout's own, as the load's Job, the greedy neighbour and the janitor run it."""
    return on_nodes("brownout", "BROWNOUT_IMAGE_BROWNOUT")["BROWNOUT_IMAGE_BROWNOUT"]


def on_nodes(maker: str, *wanted: str) -> Mapping[str, str]:
    """What a function of tools/docker_images.py makes, by the variables that name it; skips where that cannot be."""
    command = os.environ.get(LOAD)
    if command is None:
        pytest.skip(f"{LOAD} names no command that loads images")
    engine = pytest.importorskip("brownout.fixtures.docker.engine")
    if lacks := engine.missing():
        pytest.skip(f"images are made with docker: {'; '.join(lacks)}")
    from tools import docker_images

    make: Callable[[Any], Mapping[str, str]] = getattr(docker_images, maker)
    client = engine.connect()
    try:
        made = make(client)
    except docker_images.Unavailable as problem:
        pytest.skip(f"no images: {problem}")
    finally:
        client.close()
    # One at a time: two that load the same are in each other's way.
    with (Path(tempfile.gettempdir()) / "brownout-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(["docker", "save", *(made[one] for one in wanted)], stdout=subprocess.PIPE) as saved:
            subprocess.run(shlex.split(command), stdin=saved.stdout, capture_output=True, check=True)
    return made
