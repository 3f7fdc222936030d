"""Our client: timeouts, errors that are errors, and no state shared between two of them."""

import asyncio
import socket
import time
from collections.abc import Callable

import pytest

from brownout.proxy.async_client import AsyncToxiproxyClient
from brownout.proxy.client import ControlError, ToxiproxyClient, UnsupportedError
from tests.proxy.wire import TOKEN, Control, Servers, brownout, receive, stop


def http_server(servers: Servers, answer: bytes) -> str:
    def handle(connection: socket.socket) -> None:
        connection.recv(65536)
        connection.sendall(answer)

    return f"http://127.0.0.1:{servers.start(handle)}"


def test_two_clients_of_two_proxies_do_not_mix(control: Control) -> None:
    other = brownout("asyncio")
    try:
        control.client.create("127.0.0.1:1", "mine")
        other.client.create("127.0.0.1:1", "theirs")
        assert list(control.client.proxies()) == ["mine"]
        assert list(other.client.proxies()) == ["theirs"]
    finally:
        stop(other.process)
        assert other.said is not None
        other.said.close()


def test_a_server_error_is_an_error(servers: Servers) -> None:
    url = http_server(servers, b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
    with pytest.raises(ControlError, match="refused POST /reset: Service Unavailable") as refused:
        ToxiproxyClient(url).reset()
    assert refused.value.status == 503


def test_a_server_that_does_not_answer_is_an_error_in_time(servers: Servers) -> None:
    url = f"http://127.0.0.1:{servers.start(lambda connection: receive(connection, 2**20))}"
    start = time.monotonic()
    with pytest.raises(ControlError, match="no answer from the fault proxy") as failed:
        ToxiproxyClient(url, timeout=0.2).version()
    assert failed.value.status is None
    assert 0.2 <= time.monotonic() - start < 20


def test_a_server_that_is_not_there_is_an_error_and_not_running() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        client = ToxiproxyClient(f"http://127.0.0.1:{unused.getsockname()[1]}")
        assert not client.running()
        with pytest.raises(ControlError, match="no answer from the fault proxy"):
            client.proxies()


def test_refusals_say_why_and_never_show_the_token(any_control: Control) -> None:
    url = any_control.url.replace("http://", f"http://brownout:{TOKEN}@")
    client = ToxiproxyClient(url)
    with pytest.raises(ControlError, match=r"refused DELETE /proxies/nope: proxy not found \(404\)") as refused:
        client.remove("nope")
    assert TOKEN not in str(refused.value)


def test_a_wrong_token_is_told(control: Control) -> None:
    with pytest.raises(ControlError, match="token") as refused:
        ToxiproxyClient(control.url, "wrong-secret").proxies()
    assert refused.value.status == 401
    assert "wrong-secret" not in str(refused.value)


@pytest.mark.parametrize("url", ["127.0.0.1:8474", "ftp://127.0.0.1", "http://", ""])
def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ControlError, match="looks like"):
        ToxiproxyClient(url)


def test_environment_proxies_do_not_come_in_between(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    assert control.client.version().startswith("brownout-")


@pytest.mark.parametrize(
    "call",
    [
        lambda client: client.counters(),
        lambda client: client.leases(),
        lambda client: client.renew_lease("run-1", ttl_ms=1000),
        lambda client: client.add_toxic("link", type="timeout", lease="run-1"),
        lambda client: client.disable("link", lease="run-1"),
    ],
)
def test_a_toxiproxy_server_is_told_apart_and_never_given_a_fault_without_a_lease(
    servers: Servers, call: Callable[[ToxiproxyClient], object]
) -> None:
    # Word for word what a Toxiproxy server says of a path that it does not know.
    url = http_server(
        servers,
        b"HTTP/1.1 404 Not Found\r\nContent-Type: text/plain; charset=utf-8\r\n"
        b"Content-Length: 19\r\nConnection: close\r\n\r\n404 page not found\n",
    )
    with pytest.raises(UnsupportedError, match="without Brownout's"):
        call(ToxiproxyClient(url))


def test_the_extensions_are_there_exactly_on_brownouts_server(any_control: Control) -> None:
    if any_control.is_brownout:
        assert any_control.client.counters() == {}
        return
    any_control.client.create("127.0.0.1:1", "link")
    with pytest.raises(UnsupportedError):
        any_control.client.add_toxic("link", type="timeout", lease="run-1")
    assert any_control.client.toxics("link") == []


def test_the_async_client_does_the_same(control: Control) -> None:
    async def scenario() -> None:
        client = AsyncToxiproxyClient(control.client)
        await client.create("127.0.0.1:1", "link")
        assert await client.renew_lease("run-1", ttl_ms=60_000)
        name = await client.add_toxic("link", type="latency", attributes={"latency": 5}, lease="run-1")
        await client.disable("link", lease="run-1")
        held = control.client.leases()["run-1"]
        assert (held.toxics, held.disabled) == ((f"link/{name}",), ("link",))
        await client.delete_lease("run-1")
        assert control.client.leases() == {}
        assert (await client.counters())["link"].connections_opened == 0
        with pytest.raises(ControlError, match="lease not found"):
            await client.delete_lease("run-1")

    asyncio.run(scenario())
