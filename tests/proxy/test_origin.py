"""A link whose clients speak plain HTTP to it, and which speaks TLS to a server that is asked by its own name."""

import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.client import ControlError
from brownout.proxy.http.origin import Addressing
from tests.proxy.test_http_framing import requests
from tests.proxy.wire import PATIENCE_S, TOKEN, Control, Servers, control_url, port_of, stop


@given(st.lists(requests(), min_size=1, max_size=4), st.data())
def test_every_request_names_the_host_however_its_bytes_are_cut(
    messages: list[tuple[bytes, bytes, bytes]], data: st.DataObject
) -> None:
    sent = b"".join(message for _, message, _ in messages)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=8)))
    written: list[bytes] = []
    addressing = Addressing("api.example", written.append)

    for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True):
        addressing.write(sent[start:end])

    assert b"".join(written) == b"".join(
        message.replace(b"\r\nHost: a\r\n", b"\r\nHost: api.example\r\n", 1) for _, message, _ in messages
    )


def test_what_is_no_http_passes_as_it_is() -> None:
    written: list[bytes] = []
    addressing = Addressing("api.example", written.append)

    for piece in (b"\x16\x03\x01", b" not a request\r\n\r\n", b"Host: a\r\n\r\n"):
        addressing.write(piece)

    assert b"".join(written) == b"\x16\x03\x01 not a request\r\n\r\nHost: a\r\n\r\n"


@dataclass
class Origin:
    """A server of the internet's: it speaks TLS alone, and answers for one name."""

    control: Control
    port: int = 0
    hosts: list[str] = field(default_factory=list)
    over: threading.Event = field(default_factory=threading.Event)

    def client(self, port: int) -> "closing[http.client.HTTPConnection]":
        return closing(http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S))

    def link(self) -> int:
        """A new link to it; the port on which that listens."""
        made = self.control.client.create(f"localhost:{self.port}", "origin", http=True, tls=True)
        return port_of(made.listen)


@pytest.fixture(params=["uvloop", "asyncio"])
def origin(request: pytest.FixtureRequest, servers: Servers, tmp_path: Path) -> Iterator[Origin]:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(side)
    process = subprocess.Popen(
        [sys.executable, "-m", "brownout.proxy", "--die-with-stdin", "--loop", request.param],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "BROWNOUT_PROXY_TOKEN": TOKEN, "SSL_CERT_FILE": str(tmp_path / "ca.pem")},
    )
    made = Origin(Control(control_url(process), token=TOKEN, process=process))

    def serve(connection: socket.socket) -> None:
        with suppress(OSError), side.wrap_socket(connection, server_side=True) as secured:
            answer(secured, made)
        made.over.set()

    made.port = servers.start(serve)
    yield made
    stop(process)


def answer(secured: ssl.SSLSocket, origin: Origin) -> None:
    """Answer each request with its own body, until the client hangs up."""
    with secured.makefile("rb") as lines:
        while lines.readline():
            fields: dict[str, str] = {}
            while (line := lines.readline().strip()) != b"":
                name, _, value = line.decode().partition(":")
                fields[name.lower()] = value.strip()
            origin.hosts.append(fields["host"])
            body = lines.read(int(fields.get("content-length", 0)))
            secured.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))


def test_requests_reach_it_over_tls_and_by_its_own_name(origin: Origin) -> None:
    with origin.client(origin.link()) as client:
        for size in (0, 10, 1_000_000):
            client.request("POST", "/v1/chat/completions", body=b"x" * size)
            response = client.getresponse()
            assert (response.status, len(response.read())) == (200, size)

    assert origin.hosts == [f"localhost:{origin.port}"] * 3
    assert origin.over.wait(PATIENCE_S), "the server's connection outlived its client"
    assert origin.control.client.counters()["origin"].requests == 3
    assert origin.control.client.proxies()["origin"].upstream == f"localhost:{origin.port}"


def test_its_requests_can_be_failed_like_any_others(origin: Origin) -> None:
    toxic = {"provider": "openai", "failure": "server_error"}
    body = json.dumps({"model": "m", "messages": []})
    asked = ("POST", "/v1/chat/completions", body, {"content-type": "application/json"})
    with origin.client(origin.link()) as client:
        origin.control.client.add_toxic("origin", type="provider_failure", stream="upstream", attributes=toxic)
        client.request(*asked)
        response = client.getresponse()
        response.read()
        assert response.status == 500
        assert origin.hosts == []

        origin.control.client.remove_toxic("origin", "provider_failure_upstream")
        client.request(*asked)
        response = client.getresponse()
        assert (response.status, response.read().decode()) == (200, body)


def test_one_whose_certificate_is_for_another_is_not_spoken_to(origin: Origin) -> None:
    made = origin.control.client.create(f"127.0.0.1:{origin.port}", "stranger", http=True, tls=True)
    with origin.client(port_of(made.listen)) as client:
        client.request("GET", "/")
        with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
            client.getresponse()
    assert origin.control.client.counters()["stranger"].dial_failures == 1
    assert origin.hosts == []


def test_tls_is_for_links_that_carry_http(control: Control) -> None:
    with pytest.raises(ControlError, match="'tls' is for proxies that carry HTTP"):
        control.client.create("127.0.0.1:1", "tcp", tls=True)
