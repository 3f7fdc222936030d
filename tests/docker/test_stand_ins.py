"""The stand-ins for images that nobody asks for any more are removed; those of others are let be."""

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path

import docker
import pytest

from brownout.fixtures.docker import engine
from tools import docker_images

pytestmark = pytest.mark.process
DOCKERFILE = {"Dockerfile": b"FROM scratch AS build\nCOPY file /file\nFROM scratch\nCOPY --from=build /file /file\n"}


@pytest.fixture
def client(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator["docker.DockerClient"]:
    """With a cache and a label of the test's own: other checkouts may be using theirs."""
    if lacks := engine.missing():
        pytest.skip("; ".join(lacks))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    label = f"brownout.test-{secrets.token_hex(4)}"
    monkeypatch.setattr(docker_images, "LABEL", label)
    with contextlib.closing(docker.from_env()) as found:
        yield found
        for image in found.images.list(filters={"label": label}):
            found.images.remove(image.id, force=True)


def made(client: "docker.DockerClient", content: bytes) -> str:
    return docker_images._built(client, "test", "scratch", DOCKERFILE | {"file": content}, "Dockerfile")


def labelled(client: "docker.DockerClient") -> set[str]:
    return {tag for one in client.images.list(filters={"label": docker_images.LABEL}) for tag in one.tags}


def test_an_image_that_was_asked_for_of_late_is_kept_and_another_is_removed_unless_it_is_in_use(
    client: "docker.DockerClient", monkeypatch: pytest.MonkeyPatch
) -> None:
    superseded, used, named = made(client, b"1"), made(client, b"2"), made(client, b"3")
    docker_images._prune(client)
    assert labelled(client) == {superseded, used, named}
    time.sleep(2.5)
    monkeypatch.setattr(docker_images, "_KEPT", 2.0)
    container = client.containers.create(used, command=["/file"])
    try:
        assert made(client, b"3") == named
        docker_images._prune(client)
        assert labelled(client) == {used, named}
    finally:
        container.remove()


def test_wheels_that_were_asked_for_of_late_are_kept_and_others_are_removed(client: "docker.DockerClient") -> None:
    cache = docker_images._cache()
    for name in ("docker-wheels-old", "docker-wheels-new", "toxiproxy-v1"):
        (cache / name).mkdir()
        (cache / name / "file").touch()
    for name in ("docker-wheels-old", "toxiproxy-v1"):
        os.utime(cache / name, times=(0, 0))

    docker_images._prune(client)

    assert sorted(path.name for path in cache.iterdir()) == ["docker-wheels-new", "toxiproxy-v1"]
