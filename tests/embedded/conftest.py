import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from brownout.fixtures.embedded import EmbeddedTarget
from brownout.target import TargetOptions
from tests.embedded.helpers import Up


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where the test's own state is kept."""
    return tmp_path / "state"


@pytest.fixture(scope="package")
def up(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Up]:
    """One embedded target for all tests that leave it as they found it.

    Without breakers and answer caching, so that what a link does is seen in the very next answer.
    """
    options = TargetOptions(
        seed=7,
        scale=1.0,
        settings={"breaker": False, "exact-cache": False},
        workdir=tmp_path_factory.mktemp("embedded"),
    )
    target = EmbeddedTarget()
    with asyncio.Runner() as runner:
        runner.run(target.up(options, lambda _: None))
        try:
            yield Up(target, runner)
        finally:
            runner.run(target.down())
