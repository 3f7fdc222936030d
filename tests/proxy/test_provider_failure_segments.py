"""A provider that fails: wherever TCP cuts the bytes and whenever the toxic comes, the same comes out."""

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.proxy.chats import CLOSING, EVENTS, Answers, broken, chat, failing, said, stalled, streamed
from tests.proxy.test_http_framing import segmented
from tests.proxy.virtual import connected


@settings(max_examples=60, deadline=None)
@given(data=st.data(), kinds=st.lists(st.sampled_from("mpgs"), min_size=1, max_size=5))
def test_however_the_bytes_are_cut_the_same_go_on_and_the_same_are_answered(
    data: st.DataObject, kinds: list[str]
) -> None:
    """m: meant, p: passes, g: no dialect's, s: a stream of the provider's that is not meant."""
    requests = {
        "m": chat(model="meant"),
        "p": chat(model="other"),
        "g": b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        "s": chat(model="other", stream=True),
    }
    responses = {"p": said(b"other"), "g": said(b""), "s": streamed(EVENTS)}
    wire = broken(failing(model="meant"))
    for segment in data.draw(segmented(b"".join(requests[kind] for kind in kinds))):
        wire.send(segment)
    answered = 0
    while answered < (expected := wire.server.received.count(b" HTTP/1.1\r\n")):
        passed = [kind for kind in kinds if kind != "m"]
        for segment in data.draw(segmented(b"".join(responses[kind] for kind in passed[answered:expected]))):
            wire.answer(segment)
        answered = expected
    assert wire.server.received == b"".join(requests[kind] for kind in kinds if kind != "m")
    assert wire.counters.snapshot().upstream_bytes == len(wire.server.received)
    answers = Answers(wire.client.received, requests=len(kinds))
    assert answers.statuses == [500 if kind == "m" else 200 for kind in kinds]
    assert answers.rest == b""
    untouched = wire.client.received
    for kind in kinds:
        assert kind == "m" or responses[kind] in untouched


@settings(max_examples=40, deadline=None)
@given(data=st.data(), after=st.integers(0, 5))
def test_however_a_stream_is_cut_it_stalls_behind_the_same_token(data: st.DataObject, after: int) -> None:
    wire = stalled(failure="stall", after=after)
    for segment in data.draw(segmented(streamed(EVENTS + CLOSING))):
        wire.answer(segment)
    assert Answers(wire.client.received).bodies == [b"".join(EVENTS[:after])]
    wire.connection.upstream.apply([])
    assert Answers(wire.client.received).bodies == [b"".join(EVENTS + CLOSING)]


@settings(max_examples=40, deadline=None)
@given(data=st.data(), there=st.integers(0, 20), gone=st.integers(0, 20))
def test_a_toxic_that_comes_and_goes_at_any_time_loses_no_byte(data: st.DataObject, there: int, gone: int) -> None:
    wire = connected(http=True)
    sent = [chat(model=str(number), stream=number % 2 == 0) for number in range(4)]
    segments = data.draw(segmented(b"".join(sent)))
    for number, segment in enumerate(segments):
        if number == there:
            broken(failing(model="2"), wire)
        if number == gone:
            wire.connection.upstream.apply([])
        wire.send(segment)
    wire.connection.upstream.apply([])
    wire.answer(said(b"well") * wire.server.received.count(b" HTTP/1.1\r\n"))
    answered = wire.counters.failed_requests
    assert wire.server.received == b"".join(sent[:2] + sent[2 + answered :])
    assert Answers(wire.client.received, requests=4).statuses == [200, 200, 500 if answered else 200, 200]


def test_a_toxic_that_goes_in_the_middle_of_a_head_loses_none_of_it() -> None:
    wire = stalled(failure="stall")
    answer = streamed(EVENTS)
    wire.answer(answer[:30])
    assert wire.client.received == b""
    wire.connection.upstream.apply([])
    wire.answer(answer[30:])
    assert wire.client.received == answer
