"""The toxics and the chain that they work in, on virtual time."""

from collections.abc import Iterator
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.errors import ApiError
from brownout.proxy.link import Link
from brownout.proxy.toxic import TOXIC_TYPES, Stage, Stream, register, toxic_type, with_attributes
from brownout.proxy.toxics.latency import HELD_LIMIT
from tests.proxy.virtual import VirtualConnection, connected, toxic


def test_latency_delays_every_chunk_by_the_same_time() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("latency", latency=100)])
    wire.send(b"a")
    wire.scheduler.advance(0.05)
    wire.send(b"b")
    wire.scheduler.advance(1)
    assert [(round(when, 9), chunk) for when, chunk in wire.server.written] == [(0.1, b"a"), (0.15, b"b")]
    assert wire.counters.delayed_chunks == 2


def test_a_latency_of_nothing_delays_no_chunk_and_counts_none() -> None:
    wire = connected()
    late = toxic("latency", latency=0)
    wire.connection.upstream.apply([late])
    wire.send(b"a")
    wire.scheduler.advance(0.01)
    assert (wire.server.written, wire.counters.delayed_chunks) == ([(0.0, b"a")], 0)
    late.attributes = with_attributes(late.attributes, {"latency": 100})
    wire.send(b"b")
    late.attributes = with_attributes(late.attributes, {"latency": 0})
    # This one is not late by itself, but may not overtake.
    wire.send(b"c")
    wire.scheduler.advance(1)
    assert wire.counters.delayed_chunks == 2


def test_latency_delays_the_end_of_the_stream_like_data() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("latency", latency=100)])
    wire.send(b"a")
    wire.scheduler.advance(0.01)
    wire.connection.client.eof_received()
    wire.scheduler.advance(1)
    assert wire.server.eof_at == pytest.approx(0.11)


def test_lowering_a_latency_releases_what_is_overdue() -> None:
    wire = connected()
    slow = toxic("latency", latency=60_000)
    wire.connection.upstream.apply([slow])
    wire.send(b"a")
    wire.scheduler.advance(0.5)
    slow.attributes = with_attributes(slow.attributes, {"latency": 100})
    wire.connection.upstream.update(slow)
    assert wire.server.written == [(0.5, b"a")]


def test_latency_stops_the_sender_when_too_much_is_held_and_lets_it_go_on_later() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("latency", latency=100)])
    wire.send(bytes(HELD_LIMIT))
    assert wire.client.is_reading()
    wire.send(b"x")
    assert not wire.client.is_reading()
    wire.scheduler.advance(0.2)
    assert wire.client.is_reading()
    assert len(wire.server.received) == HELD_LIMIT + 1


@given(
    latency=st.integers(0, 300),
    jitter=st.integers(0, 300),
    gaps=st.lists(st.floats(0, 0.2), min_size=1, max_size=20),
    seed=st.integers(0, 99),
)
def test_jitter_is_within_its_bounds_and_never_reorders(
    latency: int, jitter: int, gaps: list[float], seed: int
) -> None:
    wire = connected(seed=seed)
    wire.connection.upstream.apply([toxic("latency", latency=latency, jitter=jitter)])
    sent = []
    for number, gap in enumerate(gaps):
        wire.scheduler.advance(gap)
        sent.append(wire.scheduler.now())
        wire.send(bytes([number]))
    wire.scheduler.advance(10)
    assert wire.server.received == bytes(range(len(gaps)))
    latest = 0.0
    for start, (arrived, _) in zip(sent, wire.server.written, strict=True):
        earliest = start + max(0, latency - jitter) / 1000
        # A chunk may have to wait for the one before it.
        latest = max(latest, start + (latency + jitter) / 1000)
        assert earliest - 1e-9 <= arrived <= latest + 1e-9


def test_a_blackhole_swallows_and_counts() -> None:
    wire = connected()
    wire.connection.downstream.apply([toxic("timeout", stream=Stream.DOWNSTREAM)])
    wire.answer(b"lost")
    wire.scheduler.advance(10**6)
    assert wire.client.written == []
    assert wire.client.end() is None
    assert (wire.counters.downstream.swallowed, wire.counters.downstream.forwarded) == (4, 0)


def test_removing_a_blackhole_closes_connections_with_lost_data_and_spares_the_others() -> None:
    hit, spared = connected(), connected()
    for wire in (hit, spared):
        wire.connection.upstream.apply([toxic("timeout")])
    hit.send(b"lost")
    for wire in (hit, spared):
        wire.connection.upstream.apply([])
    assert (hit.client.end(), hit.server.end()) == ("closed", "closed")
    spared.send(b"well")
    assert spared.server.received == b"well"


def test_a_client_behind_a_blackhole_is_not_told_that_its_server_hung_up() -> None:
    wire = connected()
    wire.connection.downstream.apply([toxic("timeout", stream=Stream.DOWNSTREAM)])
    wire.connection.server.eof_received()
    assert wire.client.eof_at is None
    wire.connection.downstream.apply([])
    assert wire.client.end() == "closed"


def test_a_server_behind_a_blackhole_is_told_that_its_client_gave_up() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("timeout")])
    wire.connection.downstream.apply([toxic("timeout", stream=Stream.DOWNSTREAM)])
    wire.connection.client.eof_received()
    assert wire.server.eof_at is not None
    wire.connection.server.eof_received()
    assert (wire.client.end(), wire.server.end()) == ("closed", "closed")


def test_a_timeout_counts_from_the_moment_that_it_meets_the_connection() -> None:
    wire = connected()
    wire.scheduler.advance(5)
    wire.connection.upstream.apply([toxic("timeout", timeout=300)])
    wire.scheduler.advance(0.2)
    wire.send(b"this must not put it off")
    wire.scheduler.advance(0.099)
    assert wire.client.end() is None
    wire.scheduler.advance(0.002)
    assert wire.client.end() == "closed"


def test_reset_peer_resets_both_ends_of_an_idle_connection() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("reset_peer", timeout=100)])
    wire.scheduler.advance(0.099)
    assert wire.client.end() is None
    wire.scheduler.advance(0.002)
    assert (wire.client.end(), wire.server.end()) == ("reset", "reset")
    assert wire.counters.resets == 1


def test_reset_peer_on_both_streams_counts_one_reset() -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic("reset_peer")])
    wire.connection.downstream.apply([toxic("reset_peer", stream=Stream.DOWNSTREAM)])
    wire.scheduler.advance(1)
    assert wire.counters.resets == 1


def test_what_a_client_sends_before_its_server_is_reached_waits_and_meets_the_toxics() -> None:
    wire = VirtualConnection().accept()
    wire.send(b"early")
    assert not wire.client.is_reading()
    wire.connection.client.eof_received()
    wire.connection.upstream.apply([toxic("latency", latency=100)])
    wire.dial()
    wire.scheduler.advance(1)
    assert wire.server.written == [(0.1, b"early")]
    assert wire.server.eof_at == pytest.approx(0.1)


def test_a_servers_reset_reaches_the_client_after_the_bytes_before_it() -> None:
    wire = connected()
    wire.connection.downstream.apply([toxic("latency", stream=Stream.DOWNSTREAM, latency=100)])
    wire.answer(b"half an ans")
    wire.connection.server.connection_lost(ConnectionResetError())
    assert wire.client.end() is None
    wire.scheduler.advance(1)
    assert wire.client.received == b"half an ans"
    assert wire.client.end() == "reset"


def test_toxicity_strikes_about_its_share_and_the_draw_stands_until_removal() -> None:
    wires = [connected(seed=seed) for seed in range(400)]
    struck: list[set[int]] = []
    fault = toxic("timeout", toxicity=0.25)
    for toxicity in (0.25, 0.5, 0.25):
        fault.toxicity = toxicity
        for wire in wires:
            wire.connection.upstream.apply([fault])
            wire.send(b"x")
        before = {number for hits in struck for number in hits}
        now = {number for number, wire in enumerate(wires) if wire.counters.upstream.swallowed}
        struck.append(now - before)
    first, added, later = map(len, struck)
    assert 60 < first < 140
    assert 60 < added < 140
    assert later == 0


@pytest.fixture
def shouting() -> Iterator[str]:
    @dataclass(frozen=True, kw_only=True)
    class Attributes:
        marks: int = 1

    @register("shouting", Attributes)
    class Shouting(Stage[Attributes]):
        def data(self, chunk: bytes) -> None:
            self.forward(chunk.upper() + b"!" * self.attributes.marks)

    yield "shouting"
    del TOXIC_TYPES["shouting"]


def test_a_new_toxic_is_one_registered_class(shouting: str) -> None:
    wire = connected()
    wire.connection.upstream.apply([toxic(shouting, marks=2), toxic("latency", latency=10)])
    wire.send(b"hello")
    wire.scheduler.advance(1)
    assert wire.server.written == [(0.01, b"HELLO!!")]


def test_all_of_toxiproxys_toxics_are_registered_and_ours() -> None:
    toxiproxys = {"bandwidth", "latency", "limit_data", "noop", "reset_peer", "slicer", "slow_close", "timeout"}
    assert set(TOXIC_TYPES) == toxiproxys | {
        "corrupt",
        "dns_failure",
        "drop_connections",
        "provider_failure",
        "tls_stall",
    }


@pytest.mark.parametrize(
    ("given_", "said"),
    [
        ({"latancy": 5}, "unknown attribute 'latancy'; did you mean 'latency'?"),
        ({"rate": 5}, "unknown attribute 'rate'; allowed: latency, jitter"),
        ({"latency": -1}, "attribute 'latency' must not be negative"),
        ({"latency": True}, "attribute 'latency' must be of type int"),
        ({"latency": None}, "attribute 'latency' must be of type int"),
    ],
)
def test_attributes_that_would_silently_do_nothing_are_refused(given_: dict[str, object], said: str) -> None:
    with pytest.raises(ApiError) as refused:
        with_attributes(toxic_type("latency").attributes(), given_)
    assert refused.value.status == 400
    assert said in refused.value.message


def test_a_closed_link_keeps_no_timer_and_passes_nothing() -> None:
    wire = connected()
    link: Link = wire.connection.upstream
    link.apply([toxic("latency", latency=100)])
    wire.send(b"too late")
    wire.connection.abort()
    wire.send(b"far too late")
    wire.scheduler.advance(1)
    assert wire.server.written == []
    assert wire.server.end() == "aborted"


def test_a_toxic_that_comes_when_the_connection_is_over_does_nothing() -> None:
    wire = connected()
    wire.connection.reset()
    wire.connection.upstream.apply([toxic("reset_peer")])
    wire.send(b"far too late")
    wire.scheduler.advance(1)
    assert wire.server.written == []
    assert wire.counters.resets == 0
