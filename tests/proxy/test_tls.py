"""TLS over a link: it passes as it is, from end to end, until a toxic breaks it."""

import socket
import ssl
import time

import pytest
import trustme

from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, receive

LARGE = bytes(number % 251 for number in range(1_000_000))


class TlsServers:
    """Echo servers that speak TLS, with a certificate for `localhost`, and clients that trust no other."""

    def __init__(self, servers: Servers) -> None:
        authority = trustme.CA()
        self._server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert("localhost").configure_cert(self._server_side)
        self._client_side = ssl.create_default_context()
        authority.configure_trust(self._client_side)
        self.port = servers.start(self._echo)

    def _echo(self, connection: socket.socket) -> None:
        with self._server_side.wrap_socket(connection, server_side=True) as secured:
            while chunk := secured.recv(65_536):
                secured.sendall(chunk)

    def dial(self, port: int, *, name: str = "localhost", patience: float = PATIENCE_S) -> ssl.SSLSocket:
        """Connect and shake hands. Raises TimeoutError, ssl.SSLError."""
        connection = dial(port)
        connection.settimeout(patience)
        try:
            return self._client_side.wrap_socket(connection, server_hostname=name)
        except OSError:
            connection.close()
            raise


@pytest.fixture
def tls(servers: Servers) -> TlsServers:
    return TlsServers(servers)


def exchange(client: ssl.SSLSocket, sent: bytes = b"a secret") -> None:
    client.settimeout(PATIENCE_S)
    client.sendall(sent)
    assert receive(client, len(sent)) == sent


def test_tls_passes_through_to_the_servers_own_certificate(any_control: Control, tls: TlsServers) -> None:
    port = any_control.link(tls.port)
    with tls.dial(port) as client:
        assert client.version() == "TLSv1.3"
        for start in range(0, len(LARGE), 50_000):
            exchange(client, LARGE[start : start + 50_000])
    with pytest.raises(ssl.SSLCertVerificationError, match=r"other\.example"):
        tls.dial(port, name="other.example")


def test_tls_survives_what_loses_nothing(any_control: Control, tls: TlsServers) -> None:
    port = any_control.link(tls.port)
    for stream in ("upstream", "downstream"):
        any_control.client.add_toxic("link", type="latency", stream=stream, attributes={"latency": 5, "jitter": 5})
        any_control.client.add_toxic("link", type="slicer", stream=stream, attributes={"average_size": 100})
    with tls.dial(port) as client:
        exchange(client, LARGE[:20_000])


def test_a_stalled_handshake_is_left_to_the_clients_own_timeout(control: Control, tls: TlsServers) -> None:
    port = control.link(tls.port)
    with tls.dial(port) as before:
        control.client.add_toxic("link", type="tls_stall", stream="upstream")
        exchange(before)
        started = time.monotonic()
        with pytest.raises(TimeoutError):
            tls.dial(port, patience=0.3)
        assert time.monotonic() - started >= 0.3
        counters = control.client.counters()["link"]
        assert counters.stalled_handshakes == 1
        assert counters.upstream_swallowed > 0
        control.client.remove_toxic("link", "tls_stall_upstream")
        exchange(before)
    with tls.dial(port) as after:
        exchange(after)


def test_tls_finds_a_single_damaged_bit(control: Control, tls: TlsServers) -> None:
    with tls.dial(control.link(tls.port)) as client:
        exchange(client)
        control.client.add_toxic("link", type="corrupt", attributes={"share": 0.01, "seed": 1})
        with pytest.raises(ssl.SSLError):
            exchange(client, LARGE[:10_000])
