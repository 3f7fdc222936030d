"""Links that are declared to carry HTTP, over the control port and on real sockets."""

import json
import socket
import threading

import pytest

from brownout.proxy.client import ControlError
from tests.proxy.wire import Control, Servers, dial, port_of, receive, silent

BODY = json.dumps({"model": "m", "messages": []}).encode()
CHAT = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n%b" % (len(BODY), BODY)
GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"


def answer(connection: socket.socket) -> None:
    """Answers whatever comes in one piece."""
    while connection.recv(65536):
        connection.sendall(GOOD)


def http_link(control: Control, upstream: int) -> int:
    return port_of(control.client.create(f"127.0.0.1:{upstream}", "link", http=True).listen)


def fail(control: Control, failure: str = "server_error", **attributes: object) -> None:
    control.client.add_toxic("link", type="provider_failure", attributes={"failure": failure, **attributes})


def ask(connection: socket.socket) -> bytes:
    """The status line of the answer; the rest of it is taken off the connection."""
    connection.sendall(CHAT)
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1)
    head = received.lower()
    receive(connection, int(head.partition(b"content-length: ")[2].partition(b"\r\n")[0]))
    return received.partition(b"\r\n")[0]


def test_it_says_that_it_carries_http_and_a_plain_one_says_nothing(control: Control) -> None:
    created = control.request("POST", "/proxies", {"name": "link", "upstream": "127.0.0.1:1", "http": True})
    assert (created[0], created[1]["http"]) == (201, True)
    assert control.request("POST", "/proxies/link", {"enabled": False})[1]["http"] is True
    plain = control.request("POST", "/proxies", {"name": "plain", "upstream": "127.0.0.1:1"})
    assert "http" not in plain[1]
    status, refused = control.request("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1", "http": "yes"})
    assert (status, refused["error"]) == (400, "bad request body: field 'http' must be of type bool")


def test_populate_replaces_a_plain_link_by_one_that_carries_http(control: Control) -> None:
    spec = {"name": "link", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
    listen = control.request("POST", "/populate", [spec])[1]["proxies"][0]["listen"]
    again = control.request("POST", "/populate", [{**spec, "listen": listen, "http": True}])[1]["proxies"][0]
    assert (again["listen"], again["http"]) == (listen, True)


def test_a_failure_of_requests_is_refused_on_a_plain_link(control: Control, servers: Servers) -> None:
    control.link(servers.echo())
    with pytest.raises(ControlError, match='provider_failure is for proxies that were made with "http": true'):
        fail(control)
    assert control.client.toxics("link") == []


def test_an_open_connection_meets_a_failure_at_its_next_request_and_is_well_after_it(
    control: Control, servers: Servers
) -> None:
    with dial(http_link(control, servers.start(answer))) as connection:
        assert ask(connection) == b"HTTP/1.1 200 OK"
        fail(control, first=2)
        assert [ask(connection) for _ in range(3)] == [
            b"HTTP/1.1 500 Internal Server Error",
            b"HTTP/1.1 500 Internal Server Error",
            b"HTTP/1.1 200 OK",
        ]
        control.client.remove_toxic("link", "provider_failure_downstream")
        assert ask(connection) == b"HTTP/1.1 200 OK"
    counters = control.client.counters()["link"]
    assert (counters.requests, counters.matched_requests, counters.failed_requests) == (5, 3, 2)
    assert counters.connections_opened == 1
    _, page = control.request("GET", "/metrics")
    assert 'brownout_link_failed_requests_total{proxy="link"} 2' in page


def test_a_lease_that_lapses_lets_requests_through_again(control: Control, servers: Servers) -> None:
    with dial(http_link(control, servers.start(answer))) as connection:
        control.client.renew_lease("lease", ttl_ms=150)
        control.client.add_toxic("link", type="provider_failure", attributes={"failure": "silent"}, lease="lease")
        connection.sendall(CHAT)
        assert receive(connection, 1) == b""
    with dial(port_of(control.client.proxies()["link"].listen)) as connection:
        assert ask(connection) == b"HTTP/1.1 200 OK"


def test_silence_is_silent(control: Control, servers: Servers) -> None:
    with dial(http_link(control, servers.start(answer))) as connection:
        fail(control, "silent", delay=400)
        connection.sendall(CHAT)
        assert silent(connection, 0.3)
        assert receive(connection, 1) == b""


@pytest.mark.parametrize("failing", [False, True])
def test_large_bodies_pass_both_ways_whole(control: Control, servers: Servers, failing: bool) -> None:
    size = 20_000_000
    head = b"POST /upload HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % size
    body = bytes(range(256)) * (size // 256 + 1)

    def echo(connection: socket.socket) -> None:
        receive(connection, len(head))
        got = receive(connection, size)
        connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size + got)

    with dial(http_link(control, servers.start(echo))) as connection:
        if failing:
            fail(control)
        threading.Thread(target=connection.sendall, args=(head + body[:size],)).start()
        answer_head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % size
        assert receive(connection, len(answer_head)) == answer_head
        assert receive(connection, size) == body[:size]


@pytest.mark.parametrize("first", [b"\x16\x03\x01", b"EHLO a\r\n", b"*1\r\n$4\r\nPING\r\n"])
def test_what_is_no_http_passes_untouched(control: Control, servers: Servers, first: bytes) -> None:
    with dial(http_link(control, servers.echo())) as connection:
        fail(control)
        for said in (first, b"no HTTP\r\n\r\n", bytes(100_000)):
            connection.sendall(said)
            assert receive(connection, len(said)) == said
