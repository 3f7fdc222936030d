"""Toxics that close, cut, corrupt, drop and stall, on virtual time."""

import random
import ssl

import pytest

from brownout.proxy.errors import ApiError
from brownout.proxy.toxic import Stream, toxic_type, with_attributes
from tests.proxy.virtual import VirtualConnection, connected, toxic


def test_slow_close_delays_the_end_and_no_data() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("slow_close", delay=300)])
    wire.send(b"at once")
    wire.connection.client.eof_received()
    assert wire.server.written == [(0.0, b"at once")]
    wire.scheduler.advance(1)
    assert wire.server.eof_at == pytest.approx(0.3)
    assert wire.counters.delayed_closes == 1


def test_slow_close_delays_a_reset_too() -> None:
    wire = connected()
    wire.connection.downstream.apply([toxic("slow_close", stream=Stream.DOWNSTREAM, delay=300)])
    wire.connection.server.connection_lost(ConnectionResetError())
    wire.scheduler.advance(0.299)
    assert wire.client.end() is None
    wire.scheduler.advance(0.002)
    assert wire.client.end() == "reset"


@pytest.mark.parametrize("after", [0.1, 0.5])
def test_removing_slow_close_passes_a_held_end_on_at_once_and_only_once(after: float) -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("slow_close", delay=300)])
    wire.connection.client.eof_received()
    wire.scheduler.advance(after)
    wire.connection.upstream.apply([])
    wire.scheduler.advance(1)
    assert wire.server.eof_at == pytest.approx(min(after, 0.3))


def test_a_changed_delay_counts_from_the_end_that_is_held() -> None:
    wire = connected()
    slow = toxic("slow_close", delay=60_000)
    wire.connection.upstream.apply([slow])
    wire.connection.client.eof_received()
    wire.scheduler.advance(0.1)
    slow.attributes = with_attributes(slow.attributes, {"delay": 200})
    wire.connection.upstream.update(slow)
    wire.scheduler.advance(1)
    assert wire.server.eof_at == pytest.approx(0.2)


@pytest.mark.parametrize("chunks", [[b"0123456789"], [b"01234", b"56", b"789"], [b"0123456", b"789"]])
def test_limit_data_lets_exactly_so_many_bytes_through_and_closes_both_ends(chunks: list[bytes]) -> None:
    wire = connected()
    wire.connection.downstream.apply([toxic("limit_data", stream=Stream.DOWNSTREAM, bytes=7)])
    for chunk in chunks:
        wire.answer(chunk)
    assert wire.client.received == b"0123456"
    assert (wire.client.end(), wire.server.end()) == ("closed", "closed")
    assert wire.counters.truncated_connections == 1


def test_limit_data_below_its_limit_touches_nothing() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("limit_data", bytes=7)])
    wire.send(b"012345")
    assert wire.client.end() is None
    wire.connection.client.eof_received()
    assert wire.server.eof_at is not None
    assert wire.counters.truncated_connections == 0


def test_limit_data_counts_from_its_own_beginning_and_goes_on_counting_when_changed() -> None:
    wire = connected()
    limit = toxic("limit_data", bytes=7)
    wire.send(b"before")
    wire.connection.upstream.apply([limit])
    wire.send(b"01234")
    limit.attributes = with_attributes(limit.attributes, {"bytes": 9})
    wire.connection.upstream.update(limit)
    wire.send(b"56789")
    assert wire.server.received == b"before012345678"


def test_what_was_let_through_before_the_cut_still_goes_through_the_toxics_behind() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("limit_data", bytes=3), toxic("latency", latency=100)])
    wire.send(b"012345")
    wire.send(b"6789")
    assert wire.client.end() is None
    wire.scheduler.advance(1)
    assert wire.server.written == [(0.1, b"012")]
    assert wire.server.end() == "closed"
    assert wire.counters.upstream.swallowed == 7


def flipped(before: bytes, after: bytes) -> list[int]:
    assert len(before) == len(after)
    return [number for number, (one, other) in enumerate(zip(before, after, strict=True)) if one != other]


def test_corrupt_flips_one_bit_in_about_its_share_of_bytes_and_counts_them() -> None:
    wire = connected(seed=3)
    wire.connection.upstream.apply([toxic("corrupt", share=0.01)])
    sent = random.Random(1).randbytes(100_000)
    for start in range(0, len(sent), 1_000):
        wire.send(sent[start : start + 1_000])
    hit = flipped(sent, wire.server.received)
    assert 800 < len(hit) < 1_200
    assert all((sent[at] ^ wire.server.received[at]).bit_count() == 1 for at in hit)
    assert wire.counters.corrupted_bytes == len(hit)
    halves = len([at for at in hit if at < 50_000])
    assert 400 < halves < 600


@pytest.mark.parametrize(("share", "expected"), [(0.0, 0), (1.0, 1_000)])
def test_corrupt_spares_all_or_none_at_the_bounds(share: float, expected: int) -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("corrupt", share=share)])
    wire.send(bytes(1_000))
    assert len(flipped(bytes(1_000), wire.server.received)) == expected


def test_a_seed_flips_the_same_bits_however_the_data_is_cut_up() -> None:
    received = []
    for seed, size in ((1, 1_000), (2, 7)):
        wire = connected(seed=seed)
        wire.connection.upstream.apply([toxic("corrupt", share=0.02, seed=9)])
        for start in range(0, 1_000, size):
            wire.send(bytes(min(size, 1_000 - start)))
        received.append(wire.server.received)
    assert received[0] == received[1] != bytes(1_000)


def test_a_raised_share_applies_to_what_comes_next() -> None:
    wire = connected()
    corrupt = toxic("corrupt", share=0.0)
    wire.connection.upstream.apply([corrupt])
    corrupt.attributes = with_attributes(corrupt.attributes, {"share": 1})
    wire.connection.upstream.update(corrupt)
    wire.send(b"\x00")
    assert wire.server.received != b"\x00"


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"share": 1.5}, "between 0 and 1"),
        ({"share": "1"}, "must be of type float"),
        ({"share": True}, "of type float"),
    ],
)
def test_a_share_that_is_none_is_refused(given_: dict[str, object], said: str) -> None:
    with pytest.raises(ApiError, match=said):
        with_attributes(toxic_type("corrupt").attributes(), given_)


def made(count: int, **attributes: int) -> list[VirtualConnection]:
    """Connections made one after the other under one toxic, each with its first bytes sent early."""
    drop = toxic("drop_connections", **attributes)
    wires = []
    for _ in range(count):
        wire = VirtualConnection().accept()
        wire.send(b"hello")
        wire.connection.upstream.apply([drop])  # as the proxy does when the server is reached
        wire.dial()
        wire.scheduler.advance(0.001)
        wires.append(wire)
    return wires


def test_the_first_connections_are_dropped_and_the_next_ones_work() -> None:
    wires = made(4, first=2)
    assert [wire.client.end() for wire in wires] == ["reset", "reset", None, None]
    assert [wire.server.received for wire in wires] == [b"", b"", b"hello", b"hello"]
    assert sum(wire.counters.dropped_connections for wire in wires) == 2


def test_every_third_connection_is_dropped() -> None:
    assert [wire.client.end() for wire in made(7, every=3)] == [None, None, "reset", None, None, "reset", None]


def test_a_connection_that_was_there_before_is_neither_dropped_nor_counted() -> None:
    drop = toxic("drop_connections", first=1)
    old = connected()
    old.connection.upstream.apply([drop])
    old.scheduler.advance(1)
    assert old.client.end() is None
    assert drop.connections_met == 0


def test_on_request_a_connection_that_was_there_before_is_reset_without_being_counted() -> None:
    drop = toxic("drop_connections", first=1, established=True)
    old = connected()
    old.connection.upstream.apply([drop])
    old.send(b"too late")
    old.scheduler.advance(1)
    assert old.client.end() == "reset"
    assert (old.counters.resets, old.counters.dropped_connections) == (1, 0)
    assert old.server.written == []
    assert drop.connections_met == 0


def client_hello() -> bytes:
    context = ssl.create_default_context()
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing, server_hostname="localhost").do_handshake()
    return outgoing.read()


SSL_REQUEST = bytes.fromhex("00000008 04d2162f")


def stalled(*chunks: bytes) -> VirtualConnection:
    wire = VirtualConnection().accept()
    wire.connection.upstream.apply([toxic("tls_stall")])
    wire.dial()
    for chunk in chunks:
        wire.send(chunk)
    return wire


@pytest.mark.parametrize("cut", [1, 2, 5, 6, 100])
def test_a_client_hello_is_swallowed_wherever_it_is_cut(cut: int) -> None:
    hello = client_hello()
    wire = stalled(hello[:cut], hello[cut:])
    assert wire.server.written == []
    assert wire.client.end() is None
    assert (wire.counters.stalled_handshakes, wire.counters.upstream.swallowed) == (1, len(hello))
    wire.connection.upstream.apply([])
    assert wire.client.end() == "closed"


def test_postgresqls_question_for_tls_passes_and_the_client_hello_after_it_does_not() -> None:
    wire = stalled(SSL_REQUEST, client_hello())
    assert wire.server.received == SSL_REQUEST
    assert wire.counters.stalled_handshakes == 1


@pytest.mark.parametrize(
    "start",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00",
        b"\x00\x00\x00\x21\x00\x03\x00\x00user",
        b"\x16",
        b"\x16\x04",
        b"\x16\x03\x01\x00\x05\x02",
    ],
)
def test_what_does_not_begin_as_tls_passes_untouched(start: bytes) -> None:
    wire = stalled(start, b"and on")
    wire.connection.client.eof_received()
    assert wire.server.received == start + b"and on"
    assert wire.server.eof_at is not None
    assert wire.counters.stalled_handshakes == 0


def test_a_beginning_that_cannot_be_told_yet_is_passed_on_when_the_stall_ends() -> None:
    wire = stalled(b"\x16\x03")
    assert wire.server.written == []
    wire.connection.upstream.apply([])
    assert wire.server.received == b"\x16\x03"
    assert wire.client.end() is None


def test_an_established_tls_connection_goes_on() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("tls_stall")])
    wire.send(b"\x17\x03\x03\x00\x01x")
    assert wire.server.received == b"\x17\x03\x03\x00\x01x"
