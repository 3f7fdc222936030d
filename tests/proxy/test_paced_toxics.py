"""Bandwidth and slicer, on virtual time: what arrives, when, and that nothing is lost on the way."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.toxic import with_attributes
from tests.proxy.virtual import VirtualConnection, connected, toxic


def arrivals(wire: VirtualConnection) -> list[tuple[float, int]]:
    return [(round(when, 6), len(chunk)) for when, chunk in wire.server.written]


def test_bandwidth_carries_a_chunk_in_the_time_that_its_rate_takes() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("bandwidth", rate=100)])
    wire.send(bytes(5_000))
    wire.scheduler.advance(1)
    assert arrivals(wire) == [(0.05, 5_000)]
    assert wire.counters.throttled_bytes == 5_000


def test_a_large_chunk_trickles_in_pieces_of_a_tenth_of_a_second() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("bandwidth", rate=10)])
    wire.send(bytes(2_500))
    wire.scheduler.advance(1)
    assert arrivals(wire) == [(0.1, 1_000), (0.2, 1_000), (0.25, 500)]


def test_a_sender_that_is_faster_than_the_line_is_stopped_and_let_go_on() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("bandwidth", rate=100)])
    wire.send(bytes(100))
    assert not wire.client.is_reading()
    wire.scheduler.advance(0.0011)
    assert wire.client.is_reading()


def test_a_pause_earns_no_credit_but_a_moment_of_lateness_is_made_up_for() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("bandwidth", rate=100)])
    for pause in (0.0, 0.015, 10.0):  # after a chunk has gone
        wire.scheduler.advance(pause)
        wire.send(bytes(2_000))
        wire.scheduler.advance(0.02)
    assert arrivals(wire) == [(0.02, 2_000), (0.04, 2_000), (10.075, 2_000)]


def test_at_rate_zero_nothing_passes_until_the_rate_is_raised_and_no_time_is_made_up_for() -> None:
    wire = connected()
    line = toxic("bandwidth", rate=0)
    wire.connection.upstream.apply([line])
    wire.send(bytes(1_000_000))
    wire.scheduler.advance(60)
    assert wire.server.written == []
    line.attributes = with_attributes(line.attributes, {"rate": 100})
    wire.connection.upstream.update(line)
    wire.scheduler.advance(1)
    assert 100_000 <= len(wire.server.received) <= 110_000


def test_a_rate_that_changes_all_the_time_does_not_hold_the_line_up() -> None:
    wire = connected()
    line = toxic("bandwidth", rate=10)
    wire.connection.upstream.apply([line])
    wire.send(bytes(100_000))
    for rate in (9, 11) * 50:
        wire.scheduler.advance(0.02)
        line.attributes = with_attributes(line.attributes, {"rate": rate})
        wire.connection.upstream.update(line)
    assert 17_000 <= len(wire.server.received) <= 22_000


def test_the_end_of_the_stream_waits_for_the_data_before_it() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("bandwidth", rate=100)])
    wire.send(bytes(5_000))
    wire.connection.client.eof_received()
    assert wire.server.eof_at is None
    wire.scheduler.advance(1)
    assert wire.server.eof_at == pytest.approx(0.05)


def test_slices_have_the_size_asked_for_and_a_pause_after_each() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("slicer", average_size=4, delay=10_000)])
    wire.send(b"abcdefghij")
    wire.scheduler.advance(1)
    assert [(round(when, 6), chunk) for when, chunk in wire.server.written] == [
        (0.0, b"abcd"),
        (0.01, b"efgh"),
        (0.02, b"ij"),
    ]
    assert wire.counters.sliced_chunks == 1


def test_the_next_chunk_waits_for_the_pause_after_the_last_slice() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("slicer", average_size=4, delay=10_000)])
    wire.send(b"abcd")
    wire.scheduler.advance(0.001)
    wire.send(b"efgh")
    wire.scheduler.advance(1)
    assert arrivals(wire) == [(0.0, 4), (0.01, 4)]
    assert wire.counters.sliced_chunks == 0


@given(size=st.integers(0, 300), average=st.integers(0, 40), variation=st.integers(0, 50), seed=st.integers(0, 99))
def test_slices_stay_within_their_bounds_and_lose_nothing(size: int, average: int, variation: int, seed: int) -> None:
    wire = connected(seed=seed)
    wire.connection.upstream.apply([toxic("slicer", average_size=average, size_variation=variation)])
    sent = bytes(number % 251 for number in range(size))
    if sent:
        wire.send(sent)
    wire.scheduler.advance(1)
    assert wire.server.received == sent
    sizes = [len(chunk) for _, chunk in wire.server.written]
    assert all(1 <= one <= max(1, average + variation) for one in sizes)
    assert all(one >= average - variation for one in sizes[:-1])
