"""A Docker engine and the images, or a reason to skip."""

import asyncio
import os
from collections.abc import Iterator

import pytest

from brownout.fixtures.docker import engine
from brownout.fixtures.docker.images import Images, variable_of
from tests.docker.helpers import Up
from tools import docker_images


@pytest.fixture(scope="session")
def images() -> Iterator[None]:
    """The images that the environment names; else the usual ones; else stand-ins, made once and kept in the engine."""
    if lacks := engine.missing():
        pytest.skip("; ".join(lacks))
    with pytest.MonkeyPatch.context() as patch:
        if variable_of("stack") not in os.environ:
            client = engine.connect()
            try:
                if client.images.list(Images.chosen().stack):
                    yield
                    return
                for variable, image in docker_images.images(client).items():
                    patch.setenv(variable, image)
            except docker_images.Unavailable as problem:
                pytest.skip(f"no images: {problem}")
            finally:
                client.close()
        assert Images.chosen().stack
        yield


@pytest.fixture(scope="module")
def up(images: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One docker target for all tests of a module that leave it as they found it."""
    with asyncio.Runner() as runner, Up.started(runner, tmp_path_factory.mktemp("docker")) as found:
        yield found
