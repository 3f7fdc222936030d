"""The DNS responder over real sockets: dnspython's own client, the C library's, and bytes that mean nothing."""

import ctypes.util
import os
import random
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.resolver
import pytest

from brownout.proxy.client import ControlError
from tests.proxy.wire import PATIENCE_S, Control, Servers, dial, port_of, readiness, receive, start_brownout, stop

HOST = "db.brownout.internal"
RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nwell"
REQUEST = b"GET / HTTP/1.1\r\nHost: db\r\n\r\n"


def resolver(control: Control, *, lifetime: float = PATIENCE_S) -> dns.resolver.Resolver:
    asks = dns.resolver.Resolver(configure=False)
    asks.nameservers, asks.port, asks.lifetime = ["127.0.0.1"], control.dns, lifetime
    return asks


def address(control: Control, host: str = HOST, *, tcp: bool = False) -> str:
    return str(resolver(control).resolve(host, "A", tcp=tcp)[0])


def named(control: Control, upstream: int = 1, *, host: str = HOST, http: bool = False) -> int:
    return port_of(control.client.create(f"127.0.0.1:{upstream}", "link", host=host, http=http).listen)


def fail(control: Control, **attributes: object) -> None:
    control.client.add_toxic("link", type="dns_failure", attributes=attributes)


def raw(control: Control, packet: bytes, *, patience: float = PATIENCE_S) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(patience)
        client.sendto(packet, ("127.0.0.1", control.dns))
        return client.recv(4096)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_link_is_found_by_its_name_for_as_long_as_it_is_there(control: Control, tcp: bool) -> None:
    with pytest.raises(dns.resolver.NoNameservers, match="REFUSED"):
        address(control, tcp=tcp)
    named(control, host=f"{HOST.upper()}.")
    assert control.client._call("GET", "proxies", "link")["host"] == HOST
    assert address(control, tcp=tcp) == "127.0.0.1"
    control.client.remove("link")
    with pytest.raises(dns.resolver.NoNameservers, match="REFUSED"):
        address(control, tcp=tcp)


def test_populating_gives_a_link_another_name_and_keeps_what_it_has_counted(control: Control) -> None:
    wanted = {"name": "link", "listen": "127.0.0.1:0", "upstream": "127.0.0.1:1", "host": HOST}
    for host, counted in ((HOST, 1), ("other.brownout.internal", 2)):
        assert control.request("POST", "/populate", [wanted | {"host": host}])[0] == 201
        assert address(control, host) == "127.0.0.1"
        assert control.client.counters()["link"].queries == counted
    with pytest.raises(dns.resolver.NoNameservers, match="REFUSED"):
        address(control)
    # Refused as a whole: the link goes on as it was.
    assert control.request("POST", "/populate", [wanted | {"host": "no name"}])[0] == 400
    assert address(control, "other.brownout.internal") == "127.0.0.1"


@pytest.mark.parametrize("tcp", [False, True])
def test_each_failure_is_what_a_real_client_says_it_is(control: Control, tcp: bool) -> None:
    named(control)
    for answer, raised in (
        ("nxdomain", dns.resolver.NXDOMAIN),
        ("servfail", dns.resolver.NoNameservers),
        ("refused", dns.resolver.NoNameservers),
    ):
        fail(control, answer=answer)
        with pytest.raises(raised):
            address(control, tcp=tcp)
        control.client.remove_toxic("link", "dns_failure_downstream")
        assert address(control, tcp=tcp) == "127.0.0.1"
    fail(control, answer="timeout")
    with pytest.raises(dns.resolver.LifetimeTimeout):
        resolver(control, lifetime=1.0).resolve(HOST, "A", tcp=tcp)
    control.client.reset()
    fail(control, answer="wrong_address")
    assert address(control, tcp=tcp) == "127.0.0.2"
    counters = control.client.counters()["link"]
    assert (counters.queries, counters.failed_queries) == (8, 5)


@pytest.mark.parametrize("tcp", [False, True])
def test_a_slow_answer_comes_when_it_was_said_to_and_holds_up_no_other(control: Control, tcp: bool) -> None:
    named(control)
    control.client.create("127.0.0.1:1", "other", host="other.brownout.internal")
    fail(control, answer="slow", delay=400)
    late: list[float] = []

    def ask() -> None:
        start = time.monotonic()
        assert address(control, tcp=tcp) == "127.0.0.1"
        late.append(time.monotonic() - start)

    others: list[float] = []
    # A busy machine may hold one up; the other query would hold up every one.
    while not others or (min(others) >= 0.4 and len(others) < 10):
        asking = threading.Thread(target=ask)
        asking.start()
        start = time.monotonic()
        assert address(control, "other.brownout.internal", tcp=tcp) == "127.0.0.1"
        others.append(time.monotonic() - start)
        asking.join(PATIENCE_S)
        assert 0.4 <= late[-1] < 20.0
    assert min(others) < 0.4


def test_many_queries_on_one_tcp_connection_get_a_reply_each(control: Control) -> None:
    named(control)
    queries = [dns.message.make_query(HOST, "A") for _ in range(20)]
    sent = b"".join(len(wire).to_bytes(2) + wire for wire in (query.to_wire() for query in queries))
    with dial(control.dns) as client:
        # In pieces that end anywhere.
        for start in range(0, len(sent), 7):
            client.sendall(sent[start : start + 7])
        for query in queries:
            reply = dns.message.from_wire(receive(client, int.from_bytes(receive(client, 2))))
            assert query.is_response(reply)


def test_nothing_that_is_sent_keeps_it_from_answering(control: Control) -> None:
    named(control)
    chance = random.Random(7)
    query = dns.message.make_query(HOST, "A").to_wire()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client, dial(control.dns) as stream:
        for size in (0, 1, 11, 12, 13, 512, 9000, 65000):
            client.sendto(chance.randbytes(size), ("127.0.0.1", control.dns))
        for _ in range(200):
            changed = bytearray(query)
            changed[chance.randrange(len(query))] = chance.randrange(256)
            client.sendto(changed, ("127.0.0.1", control.dns))
        stream.sendall(chance.randbytes(5000))
        assert address(control) == "127.0.0.1"
    assert address(control, tcp=True) == "127.0.0.1"
    # A header alone is told that it is one.
    assert raw(control, query[:12])[3] & 0x0F == dns.rcode.FORMERR


def test_the_c_librarys_resolver_finds_the_link(control: Control) -> None:
    if ctypes.util.find_library("resolv") is None:
        pytest.skip("no libresolv")
    named(control)
    found = subprocess.run(
        [sys.executable, "-c", _LIBRESOLV, str(control.dns), HOST], capture_output=True, check=True, timeout=PATIENCE_S
    )
    assert dns.message.from_wire(found.stdout).answer[0][0].to_text() == "127.0.0.1"


# res_nquery(3) with a state whose only server is ours. The state's layout is <resolv.h>'s: retrans, retry, options,
# nscount, nsaddr_list.
_LIBRESOLV = """
import ctypes, ctypes.util, socket, struct, sys
resolv = ctypes.CDLL(ctypes.util.find_library("resolv"))
state = ctypes.create_string_buffer(4096)
init = getattr(resolv, "__res_ninit", None) or resolv.res_ninit
query = getattr(resolv, "__res_nquery", None) or resolv.res_nquery
assert init(state) == 0
struct.pack_into("@i", state, 16, 1)
server = struct.pack("=H", socket.AF_INET) + struct.pack("!H4s8x", int(sys.argv[1]), socket.inet_aton("127.0.0.1"))
ctypes.memmove(ctypes.addressof(state) + 20, server, len(server))
answer = ctypes.create_string_buffer(4096)
size = query(state, sys.argv[2].encode(), 1, 1, answer, len(answer))
assert size > 0, size
sys.stdout.buffer.write(answer.raw[:size])
"""


def test_a_share_of_the_queries_fails_where_the_toxicity_says_so(control: Control) -> None:
    named(control)
    control.client.add_toxic("link", type="dns_failure", toxicity=0.5)
    rcodes = {
        dns.message.from_wire(raw(control, dns.message.make_query(HOST, "A").to_wire())).rcode() for _ in range(40)
    }
    assert rcodes == {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}


def test_the_failure_ends_with_its_lease_and_healing_twice_is_no_matter(control: Control) -> None:
    named(control)
    client = control.client
    client.renew_lease("run-1", ttl_ms=60_000)
    client.add_toxic("link", type="dns_failure", name="gone", lease="run-1")
    with pytest.raises(dns.resolver.NXDOMAIN):
        address(control)
    assert client.leases()["run-1"].toxics == ("link/gone",)
    client.renew_lease("run-1", ttl_ms=600)
    deadline = time.monotonic() + PATIENCE_S
    while client.leases():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    assert address(control) == "127.0.0.1"
    for _ in range(2):
        with pytest.raises(ControlError, match="lease not found"):
            client.delete_lease("run-1")
    client.reset()
    assert address(control) == "127.0.0.1"


def test_it_comes_and_goes_by_a_schedule(control: Control) -> None:
    named(control)
    schedule = {"shape": "square", "of": "toxicity", "period": 200}
    control.client.add_toxic("link", type="dns_failure", schedule=schedule)
    query = dns.message.make_query(HOST, "A").to_wire()
    seen = set()
    deadline = time.monotonic() + PATIENCE_S
    while len(seen) < 2 and time.monotonic() < deadline:
        seen.add(dns.message.from_wire(raw(control, query)).rcode())
    assert seen == {dns.rcode.NOERROR, dns.rcode.NXDOMAIN}


def serve_http(connection: socket.socket) -> None:
    """One response to each request."""
    while (head := receive(connection, len(REQUEST))) == REQUEST:
        connection.sendall(RESPONSE)
    assert not head


def test_it_drains_connections_between_two_requests_and_cuts_none(control: Control, servers: Servers) -> None:
    half, rest = threading.Event(), threading.Event()

    def in_two_halves(connection: socket.socket) -> None:
        while receive(connection, len(REQUEST)):
            connection.sendall(RESPONSE[:-2])
            half.set()
            rest.wait(PATIENCE_S)
            connection.sendall(RESPONSE[-2:])

    quick = named(control, servers.start(serve_http), http=True)
    with dial(quick) as idle, dial(quick) as kept:
        for client in (idle, kept):
            client.sendall(REQUEST)
            assert receive(client, len(RESPONSE)) == RESPONSE
        fail(control, answer="nxdomain")
        kept.sendall(REQUEST)
        assert receive(kept, len(RESPONSE)) == RESPONSE
        # Only when it is told to, and then at once.
        control.client.update_toxic("link", "dns_failure_downstream", attributes={"drain": True})
        assert idle.recv(1) == kept.recv(1) == b""
    control.client.destroy_all()

    slow = named(control, servers.start(in_two_halves), http=True)
    with dial(slow) as busy:
        busy.sendall(REQUEST)
        assert half.wait(PATIENCE_S)
        fail(control, answer="nxdomain", drain=True)
        # Who still finds the link, from a cache, gets an answer too.
        with dial(slow) as new:
            new.sendall(REQUEST)
            rest.set()
            assert receive(new, len(RESPONSE) + 1) == RESPONSE
        assert receive(busy, len(RESPONSE) + 1) == RESPONSE
    assert control.client.counters()["link"].drained_connections == 2


@pytest.mark.parametrize(
    ("path", "body", "said"),
    [
        ("/proxies", {"name": "x", "upstream": "127.0.0.1:1", "host": "no name"}, "must be a host name"),
        ("/proxies", {"name": "x", "upstream": "127.0.0.1:1", "host": "10.0.0.1"}, "must be a host name"),
        ("/proxies", {"name": "x", "upstream": "127.0.0.1:1", "host": "h", "listen": "localhost:0"}, "an IP address"),
        ("/proxies", {"name": "x", "upstream": "127.0.0.1:1", "host": HOST}, "host already exists"),
        ("/proxies/link", {"listen": "localhost:0"}, "an IP address"),
        ("/proxies/link/toxics", {"type": "dns_failure", "attributes": {"answer": "no"}}, "'answer' can be: nxdomain"),
        ("/proxies/link/toxics", {"type": "dns_failure", "attributes": {"answer": "slow"}}, "needs a delay"),
        ("/proxies/plain/toxics", {"type": "dns_failure"}, 'made with a "host"'),
    ],
)
def test_what_could_not_work_is_refused(control: Control, path: str, body: dict[str, object], said: str) -> None:
    named(control)
    control.link(1, "plain")
    status, answer = control.request("POST", path, body)
    assert status in (400, 409)
    assert said in answer["error"]
    assert address(control) == "127.0.0.1"


def test_a_process_that_answers_no_queries_gives_no_names() -> None:
    process = start_brownout("--die-with-stdin")
    try:
        ready = readiness(process)
        assert set(ready) == {"control"}
        control = Control(ready["control"], token="a-token-for-tests", process=process)
        with pytest.raises(ControlError, match="started with --dns"):
            named(control)
    finally:
        stop(process)


def test_without_dnspython_it_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "dns").mkdir()
    (tmp_path / "dns" / "__init__.py").write_text("raise ModuleNotFoundError('No module named dns')\n")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]))
    process = start_brownout("--dns", "127.0.0.1:0")
    _, said = process.communicate(timeout=PATIENCE_S)
    assert process.returncode != 0
    assert b"install brownout[embedded]" in said
    assert b"Traceback" not in said


@pytest.fixture
def taken() -> Iterator[int]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as held:
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


def test_a_port_in_use_and_one_for_the_world_are_refused(taken: int) -> None:
    for where, said in ((f"127.0.0.1:{taken}", b"cannot listen on"), ("0.0.0.0:0", b"not a loopback address")):
        process = start_brownout("--dns", where)
        _, error = process.communicate(timeout=PATIENCE_S)
        assert process.returncode == 2
        assert said in error
        assert b"Traceback" not in error
