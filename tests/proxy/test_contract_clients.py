"""Toxiproxy's own clients and ours: run against Brownout's proxy and a real Toxiproxy."""

import subprocess
import time

import pytest
import toxiproxy
from toxiproxy.api import APIConsumer
from toxiproxy.exceptions import InvalidToxic, NotFound, ProxyExists

from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, port_of, real_toxiproxy, receive


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
