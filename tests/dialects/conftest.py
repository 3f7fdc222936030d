"""One player for all tests of dialects: the clients are slow to make, and keep."""

from collections.abc import Iterator

import pytest

from tests.dialects.player import Player, playing


@pytest.fixture(scope="session")
def player() -> Iterator[Player]:
    with playing() as player:
        yield player
