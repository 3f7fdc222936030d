"""One stack for the whole run; gateways are started by the tests that need them."""

from collections.abc import Iterator

import pytest
from fakes import FakeClock
from harness import DOCUMENTS, Gateway, Stack


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    stack = Stack()
    try:
        yield stack
    finally:
        stack.close()


@pytest.fixture(scope="session")
def healthy(stack: Stack) -> Iterator[Gateway]:
    """A gateway for tests that break nothing. Starting it has loaded the documents for all others."""
    # The exact cache would hide the providers from questions that are asked twice.
    with stack.gateway({"exact-cache": False}) as gateway:
        assert gateway.load(DOCUMENTS).json() == {"stored": len(DOCUMENTS)}
        yield gateway


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
