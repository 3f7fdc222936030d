"""Server-sent events, however the bytes are cut."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from target_stack.sse import DONE, SseParser, encode

payloads = st.lists(st.binary(min_size=1).filter(lambda data: not set(data) & {10, 13}), max_size=6)


@given(payloads=payloads, cuts=st.lists(st.integers(1, 7), min_size=1))
def test_events_survive_any_cut(payloads: list[bytes], cuts: list[int]) -> None:
    stream = b"".join(encode(payload) for payload in payloads)
    parser, place = SseParser(), 0
    found: list[bytes] = []
    while place < len(stream):
        size = cuts[place % len(cuts)]
        found += parser.feed(stream[place : place + size])
        place += size
    assert found == payloads


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_all_three_line_endings_are_understood(ending: bytes) -> None:
    stream = ending.join([b": comment", b"event: x", b"data: one", b"data:two", b"", b"data: [DONE]", b"", b""])
    parser = SseParser()
    found = [event for n in range(len(stream)) for event in parser.feed(stream[n : n + 1])]
    # A lone CR at the end of what has come may be half of a CRLF, so the last event waits for what follows.
    found += parser.feed(b": end\n")
    assert found == [b"one\ntwo", DONE]


def test_an_unfinished_event_is_not_given() -> None:
    parser = SseParser()
    assert list(parser.feed(b"data: half")) == []
    assert list(parser.feed(b" of it\n")) == []
    assert list(parser.feed(b"\n")) == [b"half of it"]
