"""The rest of Toxiproxy's toxics and its metrics: what Brownout's proxy and a real Toxiproxy have in common."""

import re
import socket
import threading
import time
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, receive, silent

LOOSE_S = 10.0
"""By how much a shared machine may be late."""


@pytest.mark.parametrize(
    ("kind", "defaults", "given"),
    [
        ("noop", {}, {}),
        ("bandwidth", {"rate": 0}, {"rate": 100}),
        ("slow_close", {"delay": 0}, {"delay": 50}),
        ("slicer", {"average_size": 0, "size_variation": 0, "delay": 0}, {"average_size": 64, "delay": 5}),
        ("limit_data", {"bytes": 0}, {"bytes": 7}),
    ],
)
def test_each_toxic_is_created_changed_and_deleted(
    any_control: Control, kind: str, defaults: dict[str, int], given: dict[str, int]
) -> None:
    any_control.link(1, "db")
    status, created = any_control.request("POST", "/proxies/db/toxics", {"type": kind})
    fields: dict[str, Any] = {"name": f"{kind}_downstream", "type": kind, "stream": "downstream", "toxicity": 1}
    assert (status, created) == (200, {**fields, "attributes": defaults})
    path = f"/proxies/db/toxics/{kind}_downstream"
    status, changed = any_control.request("POST", path, {"attributes": given})
    assert (status, changed) == (200, {**fields, "attributes": defaults | given})
    for wrong in ({name: "much"} for name in given):
        status, answer = any_control.request("POST", path, {"attributes": wrong})
        assert (status, answer["status"]) == (400, 400)
        assert answer["error"].startswith("bad request body: ")
    assert any_control.request("GET", path) == (200, changed)
    assert any_control.request("DELETE", path) == (204, None)


def sender(size: int) -> Any:
    def send(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(bytes(size))
        connection.recv(1)

    return send


@pytest.mark.parametrize(("rate", "size"), [(100, 30_000), (2_000, 1_000_000), (50_000, 20_000_000)])
def test_bandwidth_takes_the_time_that_the_rate_says(
    any_control: Control, servers: Servers, rate: int, size: int
) -> None:
    expected = size / (rate * 1000)
    with any_control.connect(servers.start(sender(size))) as client:
        any_control.client.add_toxic("link", type="bandwidth", attributes={"rate": rate})
        start = time.monotonic()
        client.sendall(b"?")
        assert len(receive(client, size)) == size
        took = time.monotonic() - start
    # Toxiproxy lets the last piece go a little early where its timers made the ones before late.
    assert expected * 0.97 - 0.005 <= took < expected * 1.2 + LOOSE_S


def test_bandwidth_at_zero_lets_nothing_pass_and_a_removal_lets_all_of_it(
    any_control: Control, servers: Servers
) -> None:
    with any_control.connect(servers.echo()) as client:
        any_control.client.add_toxic("link", type="bandwidth")
        client.sendall(b"stuck")
        assert silent(client, 0.3)
        any_control.client.remove_toxic("link", "bandwidth_downstream")
        assert receive(client, 5) == b"stuck"


def test_bandwidth_holds_the_sender_back(any_control: Control, servers: Servers) -> None:
    sent = 0
    held_back = threading.Event()

    def send(connection: socket.socket) -> None:
        nonlocal sent
        connection.settimeout(0.5)
        try:
            while sent < 64 * 2**20:
                sent += connection.send(bytes(65_536))
        except TimeoutError:
            held_back.set()

    with any_control.connect(servers.start(send)) as client:
        any_control.client.add_toxic("link", type="bandwidth", attributes={"rate": 1})
        assert not silent(client, PATIENCE_S)
        assert held_back.wait(PATIENCE_S)
    assert sent < 16 * 2**20


def test_slow_close_delays_the_end_of_an_answer_and_not_the_answer(any_control: Control, servers: Servers) -> None:
    def answer_and_close(connection: socket.socket) -> None:
        connection.recv(1)
        connection.sendall(b"bye")

    port = any_control.link(servers.start(answer_and_close))
    any_control.client.add_toxic("link", type="slow_close", attributes={"delay": 300})
    answered: list[float] = []
    # One answer may be late on a shared machine.
    while not answered or (min(answered) >= 0.300 and len(answered) < 10):
        with dial(port) as client:
            start = time.monotonic()
            client.sendall(b"?")
            assert receive(client, 3) == b"bye"
            answered.append(time.monotonic() - start)
            assert client.recv(1) == b""
            assert 0.300 <= time.monotonic() - start < 0.300 + LOOSE_S
    assert min(answered) < 0.300


def test_slices_arrive_one_by_one_and_complete(any_control: Control, servers: Servers) -> None:
    sent = bytes(number % 251 for number in range(1_000))
    with any_control.connect(servers.echo()) as client:
        any_control.client.add_toxic(
            "link", type="slicer", attributes={"average_size": 100, "size_variation": 20, "delay": 10_000}
        )
        slices: list[int] = []
        # A slow reader gets several at once.
        while not slices or (max(slices) < 5 and len(slices) < 20):
            start = time.monotonic()
            client.sendall(sent)
            received = b""
            slices.append(0)
            while len(received) < len(sent):
                received += client.recv(65_536)
                slices[-1] += 1
            assert received == sent
            assert 0.080 <= time.monotonic() - start < 0.200 + LOOSE_S
    assert 5 <= max(slices) <= 20


@pytest.mark.parametrize("stream", ["upstream", "downstream"])
def test_limit_data_cuts_after_exactly_so_many_bytes(any_control: Control, servers: Servers, stream: str) -> None:
    heard = bytearray()
    over = threading.Event()

    def echo(connection: socket.socket) -> None:
        try:
            while chunk := connection.recv(100):
                heard.extend(chunk)
                connection.sendall(chunk)
        finally:
            over.set()

    port = any_control.link(servers.start(echo))
    any_control.client.add_toxic("link", type="limit_data", stream=stream, attributes={"bytes": 10})
    with dial(port) as client:
        client.sendall(b"0123")
        assert receive(client, 4) == b"0123"
        client.sendall(b"456789abcdef")
        rest = b""
        try:
            rest = receive(client, 100)
        except ConnectionResetError:
            # A real Toxiproxy closes with unread data at times, which makes a reset of it.
            assert not any_control.is_brownout
        assert over.wait(PATIENCE_S)
    if stream == "downstream" and any_control.is_brownout:
        assert rest == b"456789"
    if stream == "upstream":
        assert bytes(heard) == b"0123456789"


def test_limit_data_spares_an_idle_connection_even_at_zero(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    any_control.client.add_toxic("link", type="limit_data")
    with dial(port) as client:
        assert silent(client, 0.2)
        client.sendall(b"x")
        assert client.recv(1) == b""


def metrics(control: Control) -> dict[str, float]:
    status, text = control.request("GET", "/metrics")
    assert status == 200
    samples = re.findall(r"^(\w+)\{(.*)\} (\S+)$", text, re.MULTILINE)
    return {f"{name} {labels}": float(value) for name, labels, value in samples if name.startswith("toxiproxy")}


def test_metrics_are_what_prometheus_reads(control: Control) -> None:
    control.link(1, 'a "quoted" name')
    families = {family.name: family for family in text_string_to_metric_families(control.request("GET", "/metrics")[1])}
    assert families["brownout_link_connections_active"].type == "gauge"
    assert {name for name in families if name.startswith("toxiproxy")} == {
        "toxiproxy_proxy_received_bytes",
        "toxiproxy_proxy_sent_bytes",
    }
    seen = {sample.labels["proxy"] for family in families.values() for sample in family.samples}
    assert seen == {'a "quoted" name'}


def test_metrics_count_bytes_in_each_direction_under_toxiproxys_names(any_control: Control, servers: Servers) -> None:
    upstream = servers.echo()
    port = any_control.link(upstream)
    any_control.client.add_toxic("link", type="limit_data", stream="upstream", attributes={"bytes": 3})
    with dial(port) as client:
        client.sendall(b"12345")
        received = len(receive(client, 100))
    expected = {
        f'toxiproxy_proxy_{name}_bytes_total direction="{direction}",listener="127.0.0.1:{port}",proxy="link",'
        f'upstream="127.0.0.1:{upstream}"'
        for name in ("received", "sent")
        for direction in ("downstream", "upstream")
    }
    deadline = time.monotonic() + PATIENCE_S
    # A real Toxiproxy counts when a connection is over.
    while not expected <= metrics(any_control).keys():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    seen = {name: value for name, value in metrics(any_control).items() if name in expected}
    by_what = {
        tuple(re.findall(r'(received|sent)_.*direction="(\w+)"', name)[0]): value for name, value in seen.items()
    }
    assert by_what[("received", "upstream")] == 5
    assert by_what[("sent", "upstream")] == 3
    assert by_what[("sent", "downstream")] == received
