"""One stack for the whole run; gateways are started by the tests that need them."""

from collections.abc import Iterator

import pytest
from fakes import FakeClock
from harness import DOCUMENTS, Gateway, Stack
from hypothesis import HealthCheck, settings

# Machines are shared: how long an example takes says nothing about us. The same examples each time: a test that fails
# fails again, and no other one fails by chance. `--hypothesis-profile=explore` looks for new ones, and for more.
patient = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True)
settings.register_profile("explore", patient, max_examples=500)
settings.register_profile("shared", patient, max_examples=50, derandomize=True, database=None)
settings.load_profile("shared")


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
        assert gateway.load(DOCUMENTS).json()["stored"] == len(DOCUMENTS)
        yield gateway


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()
