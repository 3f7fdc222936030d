"""What Brownout's proxy and a real Toxiproxy have in common: run against both, so that neither can drift."""

import socket
import subprocess
import time
from typing import Any

import pytest
import toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from tests.proxy.wire import PATIENCE_S, TOKEN, Control, Servers, dial, port_of, real_toxiproxy, receive, silent

LOOSE_S = 2.0
"""By how much a shared machine may be late."""


def bare(fields: dict[str, Any]) -> dict[str, Any]:
    # Toxiproxy serialises an internal field by mistake.
    return {name: value for name, value in fields.items() if name != "Logger"}


def test_a_proxy_is_created_shown_changed_and_deleted(any_control: Control) -> None:
    asked = {"name": "db", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1"}
    status, created = any_control.request("POST", "/proxies", asked)
    assert status == 201
    assert port_of(created["listen"]) > 0
    assert bare(created) == {**asked, "listen": created["listen"], "enabled": True, "toxics": []}
    assert any_control.request("GET", "/proxies/db") == (200, created)
    assert any_control.request("GET", "/proxies") == (200, {"db": created})
    status, changed = any_control.request("POST", "/proxies/db", {"upstream": "127.0.0.1:2"})
    assert (status, bare(changed)) == (200, bare(created) | {"upstream": "127.0.0.1:2"})
    assert any_control.request("DELETE", "/proxies/db") == (204, None)
    assert any_control.request("GET", "/proxies") == (200, {})


def test_a_toxic_is_created_shown_changed_and_deleted(any_control: Control) -> None:
    any_control.link(1, "db")
    status, created = any_control.request(
        "POST", "/proxies/db/toxics", {"type": "latency", "attributes": {"latency": 10}}
    )
    assert (status, created) == (
        200,
        {
            "name": "latency_downstream",
            "type": "latency",
            "stream": "downstream",
            "toxicity": 1,
            "attributes": {"latency": 10, "jitter": 0},
        },
    )
    path = "/proxies/db/toxics/latency_downstream"
    assert any_control.request("GET", path) == (200, created)
    assert any_control.request("GET", "/proxies/db/toxics") == (200, [created])
    status, changed = any_control.request("POST", path, {"attributes": {"jitter": 5}, "toxicity": 0.5, "name": "x"})
    assert (status, changed) == (200, created | {"toxicity": 0.5, "attributes": {"latency": 10, "jitter": 5}})
    assert any_control.request("DELETE", path) == (204, None)
    assert any_control.request("GET", "/proxies/db/toxics") == (200, [])


def test_patch_changes_proxies_and_toxics_too(any_control: Control) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "timeout", "name": "t"})
    status, proxy = any_control.request("PATCH", "/proxies/db", {"enabled": False})
    if status == 405:
        pytest.skip("this Toxiproxy is older than 2.6, which brought PATCH")
    assert (status, proxy["enabled"]) == (200, False)
    status, toxic = any_control.request("PATCH", "/proxies/db/toxics/t", {"attributes": {"timeout": 7}})
    assert (status, toxic["attributes"]) == (200, {"timeout": 7})


def test_toxics_are_listed_upstream_first(any_control: Control) -> None:
    any_control.link(1, "db")
    for name, stream in (("a", "downstream"), ("b", "upstream"), ("c", "downstream")):
        any_control.request("POST", "/proxies/db/toxics", {"type": "latency", "name": name, "stream": stream})
    _, toxics = any_control.request("GET", "/proxies/db/toxics")
    assert [toxic["name"] for toxic in toxics] == ["b", "a", "c"]


@pytest.mark.parametrize(
    ("request_", "status", "error"),
    [
        (("GET", "/proxies/nope", None), 404, "proxy not found"),
        (("POST", "/proxies/nope", {}), 404, "proxy not found"),
        (("DELETE", "/proxies/nope", None), 404, "proxy not found"),
        (("POST", "/proxies/nope/toxics", {"type": "latency"}), 404, "proxy not found"),
        (("GET", "/proxies/db/toxics/nope", None), 404, "toxic not found"),
        (("POST", "/proxies/db/toxics/nope", {}), 404, "toxic not found"),
        (("DELETE", "/proxies/db/toxics/nope", None), 404, "toxic not found"),
        (("POST", "/proxies", {"name": "x"}), 400, "missing required field: upstream"),
        (("POST", "/proxies", {"upstream": "127.0.0.1:1"}), 400, "missing required field: name"),
        (("POST", "/proxies", {"name": "db", "upstream": "127.0.0.1:1"}), 409, "proxy already exists"),
        (("POST", "/proxies/db/toxics", {"type": "latency"}), 409, "toxic already exists"),
        (("POST", "/proxies/db/toxics", {"type": "nope"}), 400, "invalid toxic type"),
        (
            ("POST", "/proxies/db/toxics", {"type": "latency", "stream": "sideways"}),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            ("POST", "/proxies/db/toxics", {"type": "latency", "stream": ""}),
            400,
            "stream was invalid, can be either upstream or downstream",
        ),
        (
            ("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1", "listen": "nowhere"}),
            500,
            "listen tcp: address nowhere: missing port in address",
        ),
        (("POST", "/proxies/db", {"listen": "nowhere"}), 500, "address nowhere: missing port in address"),
        (("POST", "/proxies", b""), 400, "bad request body: EOF"),
    ],
)
def test_refusals_have_toxiproxys_status_and_words(
    any_control: Control, request_: tuple[str, str, object], status: int, error: str
) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    assert any_control.request(*request_) == (status, {"error": error, "status": status})


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/proxies", b"{bad"),
        ("/proxies", b"[" * 100_000),
        ("/proxies", [1]),
        ("/proxies", {"name": 3, "upstream": "127.0.0.1:1"}),
        ("/proxies/db", {"enabled": "yes"}),
        ("/proxies/db/toxics", {"type": "latency", "attributes": {"latency": "10"}}),
        ("/proxies/db/toxics", {"type": "latency", "attributes": {"latency": 1.5}}),
        ("/populate", {}),
    ],
)
def test_a_malformed_body_is_a_bad_request(any_control: Control, path: str, body: object) -> None:
    any_control.link(1, "db")
    status, answer = any_control.request("POST", path, body)
    assert (status, answer["status"]) == (400, 400)
    assert answer["error"].startswith("bad request body: ")


def test_unknown_pages_and_methods_are_refused(any_control: Control) -> None:
    assert any_control.request("GET", "/nowhere")[0] == 404
    assert any_control.request("PUT", "/proxies")[0] == 405
    assert any_control.request("HEAD", "/version")[0] == 405


def test_a_browser_is_refused(any_control: Control) -> None:
    headers = {"User-Agent": "Mozilla/5.0", "Authorization": f"Bearer {TOKEN}"}
    assert any_control.request("GET", "/proxies", headers=headers)[0] == 403


def test_a_port_that_is_taken_is_told(any_control: Control, servers: Servers) -> None:
    taken = f"127.0.0.1:{servers.echo()}"
    status, answer = any_control.request("POST", "/proxies", {"name": "x", "upstream": "127.0.0.1:1", "listen": taken})
    assert (status, answer["error"]) == (500, f"listen tcp {taken}: bind: address already in use")
    assert any_control.request("GET", "/proxies") == (200, {})


def test_populate_creates_what_is_missing_and_replaces_what_differs(any_control: Control) -> None:
    any_control.request("POST", "/proxies", {"name": "same", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"})
    any_control.request("POST", "/proxies", {"name": "other", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"})
    any_control.request("POST", "/proxies/same/toxics", {"type": "latency"})
    any_control.request("POST", "/proxies/other/toxics", {"type": "latency"})
    same = any_control.request("GET", "/proxies/same")[1]
    if any_control.request("PATCH", "/proxies/same", {})[0] == 405:
        pytest.skip("this Toxiproxy is older than 2.12, which stopped replacing a proxy by its equal")
    status, answer = any_control.request(
        "POST",
        "/populate",
        [
            {"name": "same", "upstream": "127.0.0.1:1", "listen": same["listen"]},
            {"name": "other", "upstream": "127.0.0.1:2", "listen": "127.0.0.1:0"},
            {"name": "new", "upstream": "127.0.0.1:3", "listen": "127.0.0.1:0", "enabled": False},
        ],
    )
    assert status == 201
    assert answer["proxies"][0] == same
    assert [(p["upstream"], p["enabled"], p["toxics"]) for p in answer["proxies"][1:]] == [
        ("127.0.0.1:2", True, []),
        ("127.0.0.1:3", False, []),
    ]


def test_populate_checks_every_proxy_before_it_creates_one(any_control: Control) -> None:
    asked = [{"name": "good", "upstream": "127.0.0.1:1"}, {"name": "bad"}]
    assert any_control.request("POST", "/populate", asked) == (
        400,
        {"error": "missing required field: upstream at proxy 2", "status": 400, "proxies": None},
    )
    assert any_control.request("GET", "/proxies") == (200, {})


def test_populate_tells_what_it_has_created_before_it_failed(any_control: Control) -> None:
    good = {"name": "good", "upstream": "127.0.0.1:1", "listen": "127.0.0.1:0"}
    status, answer = any_control.request("POST", "/populate", [good, {**good, "name": "bad", "listen": "nowhere"}])
    assert (status, answer["status"]) == (500, 500)
    assert answer["error"] == "listen tcp: address nowhere: missing port in address"
    assert [proxy["name"] for proxy in answer["proxies"]] == ["good"]
    assert list(any_control.request("GET", "/proxies")[1]) == ["good"]


def test_populate_with_nothing_creates_nothing(any_control: Control) -> None:
    assert any_control.request("POST", "/populate", []) == (201, {"proxies": None})


def test_populate_keeps_a_proxy_that_listens_on_a_host_by_name(any_control: Control) -> None:
    asked = {"name": "db", "upstream": "127.0.0.1:1", "listen": "localhost:0"}
    port = port_of(any_control.request("POST", "/proxies", asked)[1]["listen"])
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    _, answer = any_control.request("POST", "/populate", [{**asked, "listen": f"localhost:{port}"}])
    assert [toxic["name"] for toxic in answer["proxies"][0]["toxics"]] == ["latency_downstream"]


def test_reset_enables_proxies_and_removes_toxics(any_control: Control) -> None:
    any_control.link(1, "db")
    any_control.request("POST", "/proxies/db/toxics", {"type": "latency"})
    any_control.request("POST", "/proxies/db", {"enabled": False})
    assert any_control.request("POST", "/reset") == (204, None)
    proxy = any_control.request("GET", "/proxies/db")[1]
    assert (proxy["enabled"], proxy["toxics"]) == (True, [])


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
        start = time.monotonic()
        client.sendall(b"ping")
        assert receive(client, 4) == b"ping"
        assert time.monotonic() - start < 0.150


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


def test_the_unmodified_python_client_works(any_control: Control, servers: Servers) -> None:
    host, _, port = any_control.url.removeprefix("http://").rpartition(":")
    was = APIConsumer.host, APIConsumer.port
    server = toxiproxy.Toxiproxy()
    try:
        server.update_api_consumer(f"brownout:{any_control.token}@{host}" if any_control.token else host, int(port))
        proxy = server.create(f"127.0.0.1:{servers.echo()}", "db")
        with pytest.raises(ProxyExists):
            server.create("127.0.0.1:1", "db")
        assert server.get_proxy("db").listen == proxy.listen
        proxy.add_toxic(type="latency", attributes={"latency": 80})
        assert proxy.get_toxic("latency_downstream").attributes["latency"] == 80
        with pytest.raises(InvalidToxic):
            proxy.add_toxic(type="nope")
        with dial(port_of(proxy.listen)) as client:
            start = time.monotonic()
            client.sendall(b"x")
            receive(client, 1)
            assert time.monotonic() - start >= 0.080
        with proxy.down(), pytest.raises(ConnectionRefusedError):
            dial(port_of(proxy.listen))
        proxy.destroy_toxic("latency_downstream")
        assert server.reset()
        assert server.destroy(proxy)
        with pytest.raises(NotFound):
            proxy.toxics()
    finally:
        server.update_api_consumer(*was)


def test_toxiproxys_own_command_line_works(any_control: Control, servers: Servers) -> None:
    url = any_control.url.replace("//", f"//brownout:{any_control.token}@") if any_control.token else any_control.url

    def cli(*arguments: str) -> str:
        done = subprocess.run(
            [real_toxiproxy().cli, *arguments],
            env={"TOXIPROXY_URL": url},
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=True,
        )
        assert "ailed" not in done.stdout + done.stderr  # it ends with 0 even so
        return done.stdout

    cli("create", "--listen", "127.0.0.1:0", "--upstream", f"127.0.0.1:{servers.echo()}", "db")
    cli("toxic", "add", "--type", "latency", "--toxicName", "slow", "--attribute", "latency=20", "db")
    cli("toxic", "update", "--toxicName", "slow", "--attribute", "latency=30", "db")
    shown = cli("inspect", "db")
    assert "slow" in shown
    assert "latency=30" in shown
    cli("toxic", "remove", "--toxicName", "slow", "db")
    cli("toggle", "db")
    assert "disabled" in cli("list")
    cli("delete", "db")
    assert any_control.client.proxies() == {}


def test_our_client_offers_the_packages_objects(any_control: Control) -> None:
    client = any_control.client
    assert client.version()
    client.populate([{"name": name, "upstream": "127.0.0.1:1"} for name in ("a", "b")])
    assert sorted(client.proxies()) == ["a", "b"]
    proxy = client.get_proxy("a")
    proxy.add_toxic(type="latency", attributes={"latency": 5})
    assert proxy.get_toxic("latency_downstream").attributes == {"latency": 5, "jitter": 0}
    with proxy.down():
        assert not client.get_proxy("a").enabled
    assert client.get_proxy("a").enabled
    proxy.destroy_toxic("latency_downstream")
    assert proxy.toxics() == {}
    client.destroy_all()
    assert client.proxies() == {}


def test_many_connections_at_once_each_get_their_own_bytes(any_control: Control, servers: Servers) -> None:
    port = any_control.link(servers.echo())
    clients = [dial(port) for _ in range(100)]
    for number, client in enumerate(clients):
        client.sendall(b"%06d" % number)
    answers = [receive(client, 6) for client in clients]
    assert answers == [b"%06d" % number for number in range(100)]
    for client in clients:
        client.close()
