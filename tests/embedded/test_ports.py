"""A port that is held can be taken by its service and by nobody else."""

import asyncio
import socket

import pytest

from brownout.errors import EnvironmentProblem
from brownout.fixtures.embedded.ports import HOST, HeldPorts, takes_connections
from tests.embedded.helpers import listening


def test_a_held_port_can_be_listened_on_by_the_service_that_it_is_for() -> None:
    held = HeldPorts()
    ports = held.hold(["a", "b"], {})
    assert len(set(ports.values())) == 2
    with socket.create_server((HOST, ports["a"])):
        held.release()
        assert listening(ports["a"])
        assert not listening(ports["b"])


def test_the_kernel_gives_a_held_port_to_nobody_else() -> None:
    held = HeldPorts()
    taken = set(held.hold([str(number) for number in range(200)], {}).values())
    others = [socket.socket() for _ in range(500)]
    try:
        for other in others:
            other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            other.bind((HOST, 0))
        assert not taken & {other.getsockname()[1] for other in others}
    finally:
        held.release()
        for other in others:
            other.close()


def test_a_fixed_port_is_used_as_given_and_one_in_use_is_refused_by_name() -> None:
    held = HeldPorts()
    with socket.create_server((HOST, 0)) as busy:
        port = busy.getsockname()[1]
        with pytest.raises(EnvironmentProblem, match=f"port {port} for cache is in use"):
            held.hold(["gateway", "cache"], {"cache": port})
    # Nothing was kept, and the port is free again now.
    assert held.hold(["gateway", "cache"], {"cache": port})["cache"] == port
    held.release()


def test_a_held_port_takes_no_connections_until_its_service_listens() -> None:
    held = HeldPorts()
    port = held.hold(["gateway"], {})["gateway"]
    assert not asyncio.run(takes_connections(port))
    with socket.create_server((HOST, port)):
        assert asyncio.run(takes_connections(port))
    held.release()
