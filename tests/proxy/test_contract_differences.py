"""Where Brownout's proxy differs from Toxiproxy on purpose: each difference, shown on both."""

import socket
from typing import Any

import pytest

from tests.proxy.wire import TOKEN, Control, Servers, dial, port_of, receive, silent

PROXY = {"name": "x", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"}


def toxic(**given: Any) -> tuple[str, str, dict[str, Any]]:
    return ("POST", "/proxies/db/toxics", {"type": "latency", **given})


@pytest.mark.parametrize(
    ("request_", "toxiproxys", "ours", "said"),
    [
        # A fault that silently does nothing, or something else, proves nothing.
        (toxic(attributes={"latencey": 10}), 200, 400, "unknown attribute 'latencey'; did you mean 'latency'?"),
        (toxic(attributes={"latency": -1}), 200, 400, "attribute 'latency' must not be negative, nor above 2^63-1"),
        (toxic(toxicity=2), 200, 400, "field 'toxicity' must be a number between 0 and 1"),
        (("POST", "/proxies", b'{"name": "x", "upstream": "127.0.0.1:1"} and more'), 201, 400, "Extra data"),
        (("POST", "/proxies", {**PROXY, "Name": "y", "name": ""}), 201, 400, "missing required field: name"),
        (("POST", "/proxies", {**PROXY, "upstream": "nowhere"}), 201, 500, "address nowhere: missing port in address"),
        # Refusals are all of one shape, and name what was given.
        (("POST", "/proxies", {**PROXY, "listen": "127.0.0.1:99999"}), 500, 500, "address 127.0.0.1:99999: invalid"),
        (("GET", "/nowhere", None), 404, 404, "page not found"),
        (("DELETE", "/version", None), 405, 405, "method not allowed; allowed: GET"),
    ],
)
def test_what_is_refused_otherwise(
    any_control: Control, request_: tuple[str, str, object], toxiproxys: int, ours: int, said: str
) -> None:
    any_control.link(1, "db")
    status, answer = any_control.request(*request_)
    assert status == (ours if any_control.is_brownout else toxiproxys)
    if any_control.is_brownout:
        assert answer["status"] == ours
        assert said in answer["error"]


def test_who_may_ask(any_control: Control) -> None:
    assert any_control.request("GET", "/proxies", headers={})[0] == (401 if any_control.is_brownout else 200)


def test_a_browser_is_refused_in_json(any_control: Control) -> None:
    headers = {"User-Agent": "Mozilla/5.0", "Authorization": f"Bearer {TOKEN}"}
    refusal = {"error": "User agent not allowed", "status": 403}
    assert any_control.request("GET", "/proxies", headers=headers)[1] == (
        refusal if any_control.is_brownout else "User agent not allowed\n"
    )


def test_a_stream_is_written_in_small_letters(any_control: Control) -> None:
    any_control.link(1, "db")
    _, created = any_control.request(*toxic(stream="Upstream"))
    wrote = "upstream" if any_control.is_brownout else "Upstream"
    assert (created["stream"], created["name"]) == (wrote, f"latency_{wrote}")


def test_nothing_is_opened_to_the_world_unasked(any_control: Control) -> None:
    _, created = any_control.request("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1"})
    assert created["listen"].rpartition(":")[0] == ("127.0.0.1" if any_control.is_brownout else "[::]")


def test_a_listening_host_is_shown_as_it_was_given(any_control: Control) -> None:
    _, created = any_control.request("POST", "/proxies", {**PROXY, "listen": "localhost:0"})
    assert created["listen"].startswith("localhost:" if any_control.is_brownout else "127.0.0.1:")


def test_a_half_closed_connection_stays_half_open(any_control: Control, servers: Servers) -> None:
    def answer_when_all_is_said(connection: socket.socket) -> None:
        while connection.recv(100):
            pass
        connection.sendall(b"all heard")

    with any_control.connect(servers.start(answer_when_all_is_said)) as client:
        client.sendall(b"all I have to say")
        client.shutdown(socket.SHUT_WR)
        # Toxiproxy hangs up on the client's reading side, too; what the server says then may or may not come first.
        answer = receive(client, 100)
    assert answer == b"all heard" or not any_control.is_brownout


def test_an_open_connection_is_reset_too_and_with_a_real_reset(any_control: Control, servers: Servers) -> None:
    with any_control.connect(servers.echo()) as client:
        client.sendall(b"warm")
        receive(client, 4)
        any_control.client.add_toxic("link", type="reset_peer")
        if any_control.is_brownout:
            with pytest.raises(ConnectionResetError):
                client.recv(1)
        else:
            assert silent(client, 0.2)
            client.sendall(b"x")
            assert client.recv(1) == b""


def test_a_connection_that_lost_nothing_survives_a_blackhole(any_control: Control, servers: Servers) -> None:
    with any_control.connect(servers.echo()) as client:
        client.sendall(b"warm")
        receive(client, 4)
        any_control.client.add_toxic("link", type="timeout")
        any_control.client.remove_toxic("link", "timeout_downstream")
        if any_control.is_brownout:
            client.sendall(b"well")
            assert receive(client, 4) == b"well"
        else:
            assert client.recv(1) == b""


def test_metrics_count_while_a_connection_lasts(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    with dial(port) as client:
        client.sendall(b"12345")
        receive(client, 5)
        counted = f'listener="127.0.0.1:{port}"' in any_control.request("GET", "/metrics")[1]
        assert counted == any_control.is_brownout


def test_a_port_is_kept_while_the_proxy_is_disabled(any_control: Control) -> None:
    listen = any_control.client.create("127.0.0.1:1", "db").listen
    any_control.client.disable("db")
    with socket.socket() as other:
        if any_control.is_brownout:
            with pytest.raises(OSError, match="in use"):
                other.bind(("127.0.0.1", port_of(listen)))
        else:
            other.bind(("127.0.0.1", port_of(listen)))
