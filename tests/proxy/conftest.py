"""Brownout's proxy on both event loops, and a real Toxiproxy where there is one."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from tests.proxy.wire import PATIENCE_S, Control, Servers, brownout, toxiproxy


class _Processes:
    def __init__(self) -> None:
        self._running: dict[str, Control] = {}

    def get(self, kind: str) -> Control:
        if kind not in self._running:
            self._running[kind] = toxiproxy() if kind == "toxiproxy" else brownout(kind)
        return self._running[kind]

    def stop(self) -> None:
        for control in self._running.values():
            control.process.terminate()
            control.process.wait(PATIENCE_S)
            for file in (control.process.stdin, control.process.stdout, control.said):
                if file is not None:
                    file.close()


@pytest.fixture(scope="session")
def processes() -> Iterator[_Processes]:
    processes = _Processes()
    yield processes
    processes.stop()


def _clean(control: Control) -> Iterator[Control]:
    yield control
    control.client.destroy_all()
    assert not control.tracebacks()


@pytest.fixture(params=["uvloop", "asyncio", "toxiproxy"])
def any_control(request: pytest.FixtureRequest, processes: _Processes) -> Iterator[Control]:
    """Ours on both loops, and the real one: what holds for all is the contract."""
    yield from _clean(processes.get(request.param))


@pytest.fixture(params=["uvloop", "asyncio"])
def control(request: pytest.FixtureRequest, processes: _Processes) -> Iterator[Control]:
    """Ours, on both loops."""
    yield from _clean(processes.get(request.param))


@pytest.fixture
def servers() -> Iterator[Servers]:
    with ExitStack() as stack:
        yield Servers(stack)
