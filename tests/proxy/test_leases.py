"""No fault outlives whoever answers for it."""

import asyncio
import os
import signal
import socket
import subprocess
import sys
import time
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.client import ControlError
from brownout.proxy.collection import ProxyCollection, ProxySpec
from brownout.proxy.leases import Leases
from tests.proxy.virtual import VirtualScheduler, toxic
from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, receive, silent


def test_a_lease_stands_until_its_time_is_over() -> None:
    leases = Leases()
    assert leases.renew("run-1", ttl_ms=5000, now=100.0)
    assert leases.next_lapse() == 105.0
    assert leases.lapsed(now=104.999) == []
    assert leases.lapsed(now=105.0) == ["run-1"]


def test_a_renewal_counts_from_now_and_is_not_new() -> None:
    leases = Leases()
    leases.renew("run-1", ttl_ms=5000, now=100.0)
    assert not leases.renew("run-1", ttl_ms=1000, now=104.0)
    assert leases.lapsed(now=104.9) == []
    assert leases.lapsed(now=105.0) == ["run-1"]


@given(renewals=st.lists(st.tuples(st.sampled_from("abc"), st.floats(0, 10), st.integers(1, 5000)), max_size=30))
def test_exactly_the_leases_not_renewed_in_time_have_lapsed(renewals: list[tuple[str, float, int]]) -> None:
    leases = Leases()
    ends: dict[str, float] = {}
    now = 0.0
    for name, gap, ttl_ms in renewals:
        now += gap
        leases.renew(name, ttl_ms=ttl_ms, now=now)
        ends[name] = now + ttl_ms / 1000
    assert set(leases.lapsed(now=now)) == {name for name, end in ends.items() if end <= now}
    assert leases.next_lapse() == min(ends.values(), default=None)


async def other_tasks() -> None:
    """Wait until every task but this one is done, so that no lapse is half-way healed."""
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(*(asyncio.all_tasks() - {asyncio.current_task()}))


def test_on_virtual_time_a_lapse_heals_exactly_what_the_lease_held() -> None:
    async def scenario() -> None:
        scheduler = VirtualScheduler()
        collection = ProxyCollection(scheduler=scheduler, rng=Random(0))
        for name in ("a", "b"):
            await collection.add(ProxySpec(name=name, listen="127.0.0.1:0", upstream="127.0.0.1:1"))
        collection.renew("short", ttl_ms=5000)
        collection.renew("long", ttl_ms=60_000)
        for name, lease in (("a", "short"), ("b", "long")):
            held = toxic("timeout")
            held.lease = lease
            collection.add_toxic(name, held)
        collection.add_toxic("b", toxic("latency", latency=5))
        await collection.update("a", listen=None, upstream=None, enabled=False, lease="short")

        scheduler.advance(4)
        collection.renew("short", ttl_ms=5000)
        scheduler.advance(4.9)
        await other_tasks()
        assert [t.type for t in collection.get("a").toxics] == ["timeout"]
        assert not collection.get("a").enabled

        scheduler.advance(0.2)
        await other_tasks()
        assert collection.get("a").toxics == []
        assert collection.get("a").enabled
        assert [t.type for t in collection.get("b").toxics] == ["timeout", "latency"]
        assert set(collection.leases()) == {"long"}
        await collection.close()

    asyncio.run(scenario())


def test_a_heal_that_fails_is_tried_again() -> None:
    async def scenario() -> None:
        scheduler = VirtualScheduler()
        collection = ProxyCollection(scheduler=scheduler, rng=Random(0))
        await collection.add(ProxySpec(name="a", listen="127.0.0.1:0", upstream="127.0.0.1:1"))
        collection.renew("run-1", ttl_ms=1000)
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            # Disabled by the lease, and then sent to a port that cannot be had.
            await collection.update("a", listen=None, upstream=None, enabled=False, lease="run-1")
            await collection.update("a", listen=f"127.0.0.1:{port}", upstream=None, enabled=None, lease=None)
            scheduler.advance(1)
            await other_tasks()
            assert not collection.get("a").enabled
            assert set(collection.leases()) == {"run-1"}
        scheduler.advance(1)
        await other_tasks()
        assert collection.get("a").enabled
        assert collection.leases() == {}
        await collection.close()

    asyncio.run(scenario())


def test_a_fault_without_its_lease_is_refused(control: Control) -> None:
    control.link(1)
    unknown = (404, {"error": "lease not found", "status": 404})
    assert control.request("POST", "/proxies/link/toxics", {"type": "timeout", "lease": "nope"}) == unknown
    assert control.request("POST", "/proxies/link", {"enabled": False, "lease": "nope"}) == unknown
    assert control.request("DELETE", "/brownout/leases/nope") == unknown
    assert control.client.toxics("link") == []
    assert control.client.get_proxy("link").enabled


@pytest.mark.parametrize("body", [{}, {"ttl_ms": 0}, {"ttl_ms": -5}, {"ttl_ms": "5000"}, {"ttl_ms": 10**9}, []])
def test_a_lease_needs_a_sensible_time(control: Control, body: object) -> None:
    status, answer = control.request("POST", "/brownout/leases/run-1", body)
    assert (status, answer["status"]) == (400, 400)
    assert "run-1" not in control.client.leases()


def test_deleting_a_lease_heals_all_that_it_holds(control: Control, servers: Servers) -> None:
    port = control.link(servers.echo(), "a")
    control.link(servers.echo(), "b")
    client = control.client
    assert client.renew_lease("run/1", ttl_ms=60_000)
    assert not client.renew_lease("run/1", ttl_ms=60_000)
    client.add_toxic("a", type="timeout", lease="run/1")
    client.add_toxic("a", type="latency", attributes={"latency": 1})
    client.disable("b", lease="run/1")
    held = client.leases()["run/1"]
    assert (held.toxics, held.disabled, held.ttl_ms) == (("a/timeout_downstream",), ("b",), 60_000)
    assert 0 < held.remaining_ms <= 60_000
    client.delete_lease("run/1")
    assert [t["name"] for t in client.toxics("a")] == ["latency_downstream"]
    assert client.get_proxy("b").enabled
    assert client.leases() == {}
    with dial(port) as healed:
        healed.sendall(b"well")
        assert receive(healed, 4) == b"well"


def test_a_proxy_disabled_for_good_stays_so_when_a_lease_ends(control: Control) -> None:
    control.link(1)
    control.client.renew_lease("run-1", ttl_ms=60_000)
    control.client.disable("link", lease="run-1")
    control.client.disable("link")
    control.client.delete_lease("run-1")
    assert not control.client.get_proxy("link").enabled


def test_a_proxy_disabled_by_two_leases_comes_back_with_the_last(control: Control) -> None:
    control.link(1)
    for lease in ("one", "two"):
        control.client.renew_lease(lease, ttl_ms=60_000)
        control.client.disable("link", lease=lease)
    control.client.delete_lease("one")
    assert not control.client.get_proxy("link").enabled
    control.client.delete_lease("two")
    assert control.client.get_proxy("link").enabled


def test_a_lease_lapses_in_its_time_and_not_before(control: Control, servers: Servers) -> None:
    port = control.link(servers.echo())
    control.client.renew_lease("run-1", ttl_ms=60_000)
    control.client.add_toxic("link", type="timeout", lease="run-1")
    with dial(port) as client:
        client.sendall(b"lost")
        while not control.client.counters()["link"].downstream_swallowed:
            time.sleep(0.01)
        start = time.monotonic()
        control.client.renew_lease("run-1", ttl_ms=600)
        assert client.recv(1) == b""  # the heal closes a connection that has lost data
    assert 0.6 <= time.monotonic() - start < 20
    assert control.client.leases() == {}
    with pytest.raises(ControlError, match="lease not found"):
        control.client.delete_lease("run-1")


_CONTROLLER = """
import sys, time
from brownout.proxy.client import ToxiproxyClient
client = ToxiproxyClient(sys.argv[1], sys.stdin.readline().strip(), timeout=60)
client.renew_lease("run-1", ttl_ms=2000)
client.add_toxic("blackhole", type="timeout", lease="run-1")
client.disable("severed", lease="run-1")
print("faults are in", flush=True)
while True:
    time.sleep(0.2)
    client.renew_lease("run-1", ttl_ms=2000)
"""


def test_killing_the_controller_heals_by_itself(control: Control, servers: Servers) -> None:
    blackhole = control.link(servers.echo(), "blackhole")
    severed = control.link(servers.echo(), "severed")
    controller = subprocess.Popen(
        [sys.executable, "-c", _CONTROLLER, control.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    assert controller.stdin is not None
    assert controller.stdout is not None
    with controller.stdin, controller.stdout:
        controller.stdin.write(f"{control.token}\n".encode())
        controller.stdin.flush()
        assert controller.stdout.readline() == b"faults are in\n"
        with dial(blackhole) as client:
            client.sendall(b"lost")
            # Longer than the lease: it lives because it is renewed.
            assert silent(client, 2.3)
            with pytest.raises(ConnectionRefusedError):
                dial(severed)
            os.kill(controller.pid, signal.SIGKILL)
            controller.wait(PATIENCE_S)
            assert client.recv(1) == b""
    # Whatever else the lease held is healed in the same go, though perhaps a moment later.
    while not control.client.get_proxy("severed").enabled:
        time.sleep(0.01)
    for port in (blackhole, severed):
        with dial(port) as client:
            client.sendall(b"well")
            assert receive(client, 4) == b"well"
    assert control.client.leases() == {}
