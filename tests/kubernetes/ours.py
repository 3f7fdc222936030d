"""The image of Brownout itself, on the nodes of the cluster."""

import fcntl
import os
import shlex
import subprocess
import tempfile
from functools import cache
from pathlib import Path

import pytest

LOAD = "BROWNOUT_TEST_LOAD_IMAGES"
"""A command that takes an archive of images on standard input; tools/with_kubernetes sets it."""


@cache
def brownout_image() -> str:
    """Its name there; skips where it cannot be made, or be brought there."""
    command = os.environ.get(LOAD)
    if command is None:
        pytest.skip(f"{LOAD} names no command that loads images")
    engine = pytest.importorskip("brownout.fixtures.docker.engine")
    if lacks := engine.missing():
        pytest.skip(f"the images are made with docker: {'; '.join(lacks)}")
    from tools import docker_images

    client = engine.connect()
    try:
        name: str = docker_images.brownout(client)["BROWNOUT_IMAGE_BROWNOUT"]
    except docker_images.Unavailable as problem:
        pytest.skip(f"no image: {problem}")
    finally:
        client.close()
    # One at a time: two that load the same are in each other's way.
    with (Path(tempfile.gettempdir()) / "brownout-test-images.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with subprocess.Popen(["docker", "save", name], stdout=subprocess.PIPE) as saved:
            subprocess.run(shlex.split(command), stdin=saved.stdout, capture_output=True, check=True)
    return name
