"""Toxics that come, change and go while data flows, on virtual time: whatever the order, no byte is lost or moved."""

from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from brownout.proxy.toxic import Toxic, with_attributes
from tests.proxy.virtual import connected, toxic

_NEW: dict[str, Callable[[int, int], Toxic]] = {
    "latency": lambda value, jitter: toxic("latency", latency=value, jitter=jitter),
    "bandwidth": lambda value, _: toxic("bandwidth", rate=value),
    "slicer": lambda value, _: toxic("slicer", average_size=value),
    # One that will not fire within the test: it only holds data back.
    "reset_peer": lambda _value, _jitter: toxic("reset_peer", timeout=10**9),
}
_CHANGES = {"latency": "latency", "bandwidth": "rate", "slicer": "average_size"}
_STEPS = st.one_of(
    st.tuples(st.just("send"), st.integers(1, 400)),
    st.tuples(st.just("wait"), st.floats(0, 0.3)),
    st.tuples(st.just("add"), st.sampled_from(list(_NEW)), st.integers(0, 400), st.integers(0, 200)),
    st.tuples(st.just("remove"), st.integers(0, 9)),
    st.tuples(st.just("update"), st.integers(0, 9), st.integers(0, 400), st.floats(0, 1)),
    st.tuples(st.just("end")),
)


@given(steps=st.lists(_STEPS, max_size=40), seed=st.integers(0, 99))
def test_no_sequence_of_adding_changing_and_removing_toxics_loses_or_reorders_a_byte(
    steps: list[tuple[object, ...]], seed: int
) -> None:
    wire = connected(seed=seed)
    link = wire.connection.upstream
    toxics = []
    sent = bytearray()
    for step in steps:
        match step:
            case ("send", int(size)) if not link.ended:
                chunk = bytes((len(sent) + offset) % 251 for offset in range(size))
                sent += chunk
                wire.send(chunk)
            case ("wait", float(seconds)):
                wire.scheduler.advance(seconds)
            case ("add", str(kind), int(value), int(jitter)):
                toxics.append(_NEW[kind](value, jitter))
            case ("remove", int(index)) if toxics:
                toxics.pop(index % len(toxics))
            case ("update", int(index), int(value), float(toxicity)) if toxics:
                chosen = toxics[index % len(toxics)]
                chosen.toxicity = toxicity
                if name := _CHANGES.get(chosen.type):
                    chosen.attributes = with_attributes(chosen.attributes, {name: value})
                    link.update(chosen)
            case ("end",):
                wire.connection.client.eof_received()
        link.apply(toxics)
    link.apply([])
    assert wire.server.received == bytes(sent)
    assert (wire.server.eof_at is not None) == link.ended
    assert wire.client.is_reading() or link.ended
    assert wire.counters.upstream.received == wire.counters.upstream.forwarded == len(sent)
