"""What links do under Toxiproxy's basic toxics: run against Brownout's proxy and a real Toxiproxy."""

import socket
import time

import pytest

from tests.proxy.wire import Control, Servers, dial, receive, silent

LOOSE_S = 10.0
"""By how much a shared machine may be late."""


def test_bytes_pass_both_ways(any_control: Control, servers: Servers) -> None:
    with any_control.connect(servers.echo()) as client:
        client.sendall(b"there and back")
        assert receive(client, 14) == b"there and back"


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_latency_is_never_early_and_not_very_late(any_control: Control, servers: Servers, stream: str) -> None:
    with any_control.connect(servers.echo()) as client:
        client.sendall(b"warm")
        receive(client, 4)
        any_control.client.add_toxic("link", type="latency", stream=stream, attributes={"latency": 150})
        for _ in range(2):
            start = time.monotonic()
            client.sendall(b"ping")
            assert receive(client, 4) == b"ping"
            assert 0.150 <= time.monotonic() - start < 0.150 + LOOSE_S
        any_control.client.remove_toxic("link", f"latency_{stream}")
        # One may be late on a shared machine; under the toxic every one is.
        took = []
        while not took or (min(took) >= 0.150 and len(took) < 20):
            start = time.monotonic()
            client.sendall(b"ping")
            assert receive(client, 4) == b"ping"
            took.append(time.monotonic() - start)
        assert min(took) < 0.150


def test_jittered_latency_stays_within_its_bounds(any_control: Control, servers: Servers) -> None:
    with any_control.connect(servers.echo()) as client:
        any_control.client.add_toxic("link", type="latency", attributes={"latency": 60, "jitter": 40})
        seen = []
        for _ in range(12):
            start = time.monotonic()
            client.sendall(b"p")
            receive(client, 1)
            seen.append(time.monotonic() - start)
        assert min(seen) >= 0.020
        assert max(seen) < 0.100 + LOOSE_S
        assert max(seen) - min(seen) > 0.005


def test_an_updated_latency_applies_to_open_connections(any_control: Control, servers: Servers) -> None:
    with any_control.connect(servers.echo()) as client:
        any_control.client.add_toxic("link", type="latency", attributes={"latency": 1})
        client.sendall(b"ping")
        receive(client, 4)
        any_control.client.update_toxic("link", "latency_downstream", attributes={"latency": 120})
        start = time.monotonic()
        client.sendall(b"ping")
        receive(client, 4)
        assert 0.120 <= time.monotonic() - start < 0.120 + LOOSE_S


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_a_blackhole_accepts_connections_and_answers_nothing(
    any_control: Control, servers: Servers, stream: str
) -> None:
    port = any_control.link(servers.echo())
    with dial(port) as before:
        before.sendall(b"warm")
        receive(before, 4)
        any_control.client.add_toxic("link", type="timeout", stream=stream)
        with dial(port) as during:
            before.sendall(b"lost")
            during.sendall(b"lost")
            assert silent(before, 0.3)
            assert silent(during, 0.1)
            any_control.client.remove_toxic("link", f"timeout_{stream}")
            # Their streams have holes now: both are closed, so that clients reconnect.
            assert before.recv(1) == b""
            assert during.recv(1) == b""
    with dial(port) as after:
        after.sendall(b"well")
        assert receive(after, 4) == b"well"


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_a_timeout_closes_the_connection_when_it_is_over_and_not_before(
    any_control: Control, servers: Servers, stream: str
) -> None:
    port = any_control.link(servers.echo())
    any_control.client.add_toxic("link", type="timeout", stream=stream, attributes={"timeout": 200})
    start = time.monotonic()
    with dial(port) as client:
        client.sendall(b"lost")
        assert client.recv(1) == b""
    assert 0.200 <= time.monotonic() - start < 0.200 + LOOSE_S


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_reset_peer_resets_a_new_connection(any_control: Control, servers: Servers, stream: str) -> None:
    port = any_control.link(servers.echo())
    any_control.client.add_toxic("link", type="reset_peer", stream=stream, attributes={"timeout": 100})
    start = time.monotonic()
    with dial(port) as client:
        client.sendall(b"hello")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert 0.100 <= time.monotonic() - start < 0.100 + LOOSE_S


def test_a_disabled_proxy_refuses_and_drops_and_comes_back_on_its_port(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    with dial(port) as before:
        before.sendall(b"warm")
        receive(before, 4)
        any_control.client.disable("link")
        assert before.recv(1) == b""
        with pytest.raises(ConnectionRefusedError):
            dial(port)
    any_control.client.enable("link")
    with dial(port) as after:
        after.sendall(b"well")
        assert receive(after, 4) == b"well"


def test_a_client_of_an_unreachable_server_is_hung_up_on(any_control: Control) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with any_control.connect(unused.getsockname()[1]) as client:
            assert client.recv(1) == b""


def test_toxicity_zero_strikes_no_connection_and_one_strikes_all(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    any_control.client.add_toxic("link", type="timeout", toxicity=0.0)
    clients = [dial(port) for _ in range(10)]
    for client in clients:
        client.sendall(b"x")
        assert receive(client, 1) == b"x"
    any_control.client.update_toxic("link", "timeout_downstream", toxicity=1.0)
    for client in clients:
        client.sendall(b"x")
    assert all(silent(client, 0.02) for client in clients)
    for client in clients:
        client.close()


def test_many_connections_at_once_each_get_their_own_bytes(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    clients = [dial(port) for _ in range(100)]
    for number, client in enumerate(clients):
        client.sendall(b"%06d" % number)
    answers = [receive(client, 6) for client in clients]
    assert answers == [b"%06d" % number for number in range(100)]
    for client in clients:
        client.close()
