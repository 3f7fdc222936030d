"""What Brownout's data plane promises beyond Toxiproxy's, on real sockets and both event loops."""

import contextlib
import hashlib
import random
import socket
import struct
import threading
import time

import pytest

from brownout.proxy.counters import LinkCounters
from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, receive, silent

MIB = 2**20


def counters(control: Control) -> LinkCounters:
    return control.client.counters()["link"]


def eventually(control: Control, **expected: int) -> LinkCounters:
    """The counters once they have those values; counting happens a moment after the bytes are seen."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        seen = counters(control)
        if all(getattr(seen, name) == value for name, value in expected.items()) or time.monotonic() > deadline:
            assert {name: getattr(seen, name) for name in expected} == expected
            return seen
        time.sleep(0.01)


def test_a_half_close_is_passed_on_and_the_answer_still_comes_back(control: Control, servers: Servers) -> None:
    def answer_at_the_end(connection: socket.socket) -> None:
        request = b""
        while chunk := connection.recv(100):
            request += chunk
        connection.sendall(b"got " + request)

    with control.connect(servers.start(answer_at_the_end)) as client:
        client.sendall(b"everything")
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 100) == b"got everything"


def test_a_server_that_speaks_first_and_half_closes_still_hears_the_client(control: Control, servers: Servers) -> None:
    heard = threading.Event()

    def greet(connection: socket.socket) -> None:
        connection.sendall(b"220 hello")
        connection.shutdown(socket.SHUT_WR)
        if receive(connection, 4) == b"QUIT":
            heard.set()

    with control.connect(servers.start(greet)) as client:
        assert receive(client, 100) == b"220 hello"
        client.sendall(b"QUIT")
        assert heard.wait(PATIENCE_S)


def test_64_mib_each_way_at_once_arrive_intact(control: Control, servers: Servers) -> None:
    block = random.Random(7).randbytes(MIB)
    with control.connect(servers.echo()) as client:

        def send() -> None:
            for _ in range(64):
                client.sendall(block)
            client.shutdown(socket.SHUT_WR)

        sender = threading.Thread(target=send)
        sender.start()
        digest = hashlib.sha256()
        while chunk := client.recv(MIB):
            digest.update(chunk)
        sender.join()
    expected = hashlib.sha256()
    for _ in range(64):
        expected.update(block)
    assert digest.digest() == expected.digest()
    eventually(control, upstream_bytes=64 * MIB, downstream_bytes=64 * MIB, connections_active=0)


def test_a_receiver_that_does_not_read_stops_the_sender(control: Control, servers: Servers) -> None:
    release = threading.Event()
    received = []

    def read_late(connection: socket.socket) -> None:
        release.wait(PATIENCE_S)
        while chunk := connection.recv(MIB):
            received.append(len(chunk))
        connection.sendall(b"done")

    with control.connect(servers.start(read_late)) as client:
        client.settimeout(0.5)
        sent = 0
        with contextlib.suppress(TimeoutError):
            while sent < 256 * MIB:
                sent += client.send(bytes(MIB))
        # What fits into socket buffers and the proxy's own: nowhere near everything.
        assert sent < 64 * MIB
        release.set()
        client.settimeout(PATIENCE_S)
        client.shutdown(socket.SHUT_WR)
        assert receive(client, 4) == b"done"
    assert sum(received) == sent


def test_small_writes_are_not_held_back_by_nagle(control: Control, servers: Servers) -> None:
    def two_writes(connection: socket.socket) -> None:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while connection.recv(1):
            connection.sendall(b"a")
            time.sleep(0.002)
            connection.sendall(b"b")

    with control.connect(servers.start(two_writes)) as client:
        # Nagle with delayed ACKs would cost 40 ms each time; so may a busy machine, for a while.
        medians: list[float] = []
        while not medians or (min(medians) >= 0.030 and len(medians) < 10):
            took = []
            for _ in range(10):
                start = time.monotonic()
                client.sendall(b"?")
                assert receive(client, 2) == b"ab"
                took.append(time.monotonic() - start)
            medians.append(sorted(took)[5])
        assert min(medians) < 0.030


def test_toxics_coming_and_going_in_mid_flow_lose_nothing(control: Control, servers: Servers) -> None:
    rng = random.Random(20)
    port = control.link(servers.echo())
    over = threading.Event()

    def disturb() -> None:
        client = control.client
        while not over.is_set():
            stream = rng.choice(["upstream", "downstream"])
            attributes = {"latency": rng.randrange(30), "jitter": rng.randrange(30)}
            name = client.add_toxic("link", type="latency", stream=stream, attributes=attributes, toxicity=rng.random())
            time.sleep(rng.random() * 0.02)
            client.update_toxic("link", name, attributes={"latency": rng.randrange(30)}, toxicity=rng.random())
            time.sleep(rng.random() * 0.02)
            client.remove_toxic("link", name)

    disturber = threading.Thread(target=disturb)
    disturber.start()
    try:
        for seed in range(3):
            chunks = [
                random.Random(seed).randbytes(random.Random(seed * 1000 + n).randrange(1, 30_000)) for n in range(120)
            ]
            with dial(port) as client:

                def send(client: socket.socket = client, chunks: list[bytes] = chunks) -> None:
                    for chunk in chunks:
                        client.sendall(chunk)
                        time.sleep(0.002)
                    client.shutdown(socket.SHUT_WR)

                sender = threading.Thread(target=send)
                sender.start()
                echoed = bytearray()
                while chunk := client.recv(65536):
                    echoed += chunk
                sender.join()
            assert bytes(echoed) == b"".join(chunks)
    finally:
        over.set()
        disturber.join()
    assert counters(control).delayed_chunks > 0


def test_a_blackhole_is_proved_by_the_counters(control: Control, servers: Servers) -> None:
    port = control.link(servers.echo())
    control.client.add_toxic("link", type="timeout", stream="upstream")
    with dial(port) as client:
        client.sendall(b"12345")
        eventually(control, upstream_swallowed=5, upstream_bytes=0, downstream_bytes=0)
        assert silent(client, 0.1)
    eventually(control, connections_opened=1, connections_active=0)


def test_a_blackholes_idle_connections_survive_it(control: Control, servers: Servers) -> None:
    with control.connect(servers.echo()) as pooled:
        pooled.sendall(b"warm")
        receive(pooled, 4)
        control.client.add_toxic("link", type="timeout")
        control.client.remove_toxic("link", "timeout_downstream")
        pooled.sendall(b"well")
        assert receive(pooled, 4) == b"well"


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_reset_peer_resets_idle_connections_too_at_both_ends(control: Control, servers: Servers, stream: str) -> None:
    server_saw: list[str] = []
    told = threading.Event()

    def wait_for_reset(connection: socket.socket) -> None:
        connection.sendall(b"hi")
        try:
            connection.recv(1)
        except ConnectionResetError:
            server_saw.append("reset")
        told.set()

    with control.connect(servers.start(wait_for_reset)) as client:
        assert receive(client, 2) == b"hi"
        control.client.add_toxic("link", type="reset_peer", stream=stream)
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    assert told.wait(PATIENCE_S)
    assert server_saw == ["reset"]
    eventually(control, resets=1, connections_active=0)


def test_a_reset_by_the_server_reaches_the_client_as_a_reset(control: Control, servers: Servers) -> None:
    def reset(connection: socket.socket) -> None:
        connection.recv(1)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    with control.connect(servers.start(reset)) as client:
        client.sendall(b"x")
        with pytest.raises(ConnectionResetError):
            client.recv(1)
    # No toxic did it.
    eventually(control, resets=0, connections_active=0)


def test_dial_failures_and_connections_are_counted(control: Control, servers: Servers) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with control.connect(unused.getsockname()[1]) as client:
            assert client.recv(1) == b""
    eventually(control, connections_opened=1, connections_active=0, dial_failures=1)


def test_a_client_that_is_already_sending_while_the_server_is_dialled_loses_nothing(
    control: Control, servers: Servers
) -> None:
    port = control.link(servers.echo())
    for _ in range(50):
        with dial(port) as client:
            client.sendall(b"at once")
            client.shutdown(socket.SHUT_WR)
            assert receive(client, 100) == b"at once"
    eventually(control, connections_opened=50, connections_active=0, upstream_bytes=350, downstream_bytes=350)


def test_the_port_of_a_disabled_proxy_is_kept_for_it(control: Control, servers: Servers) -> None:
    port = control.link(servers.echo())
    control.client.disable("link")
    with socket.socket() as thief, pytest.raises(OSError, match="in use"):
        thief.bind(("127.0.0.1", port))
    control.client.enable("link")
    with dial(port) as client:
        client.sendall(b"well")
        assert receive(client, 4) == b"well"


def test_the_counters_of_a_replaced_proxy_go_on(control: Control, servers: Servers) -> None:
    with control.connect(servers.echo()) as client:
        client.sendall(b"x")
        receive(client, 1)
    status, _ = control.request("POST", "/populate", [{"name": "link", "upstream": "127.0.0.1:1"}])
    assert status == 201
    assert counters(control).connections_opened == 1


def test_names_and_ipv6_addresses_work(control: Control) -> None:
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        proxy = control.client.create(f"[::1]:{server.getsockname()[1]}", "link", listen="localhost:0")
        with dial(int(proxy.listen.removeprefix("localhost:"))) as client:
            accepted, _ = server.accept()
            with accepted:
                client.sendall(b"six")
                assert receive(accepted, 3) == b"six"


@pytest.mark.parametrize(
    "address", ["nonsense", "127.0.0.1", "127.0.0.1:", "127.0.0.1:port", "127.0.0.1:65536", "::1:80"]
)
@pytest.mark.parametrize("field", ["listen", "upstream"])
def test_a_malformed_address_is_refused_and_changes_nothing(control: Control, address: str, field: str) -> None:
    control.link(1)
    before = control.request("GET", "/proxies")
    given = {"name": "new", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", field: address}
    for status, answer in (control.request("POST", "/proxies", given), control.request("POST", "/proxies/link", given)):
        assert status == 500
        assert address in answer["error"]
    assert control.request("GET", "/proxies") == before
