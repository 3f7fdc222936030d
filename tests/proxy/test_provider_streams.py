"""A provider whose streams fail, on virtual time: behind which token, and what becomes of the rest."""

import pytest

from brownout.dialect import installed_dialects
from tests.proxy.chats import CLOSING, EVENTS, Answers, chat, said, stalled, streamed


def test_a_stream_stalls_after_so_many_tokens_of_the_providers_own_and_flows_on_when_healed() -> None:
    wire = stalled(failure="stall", after=2)
    answer = streamed(EVENTS + CLOSING)
    for start in range(0, len(answer), 50):
        wire.answer(answer[start : start + 50])
    got = Answers(wire.client.received)
    assert (got.whole, got.bodies) == (0, [b"".join(EVENTS[:2])])
    assert wire.counters.failed_requests == 1
    wire.connection.upstream.apply([])
    got = Answers(wire.client.received)
    assert (got.whole, got.bodies) == (1, [b"".join(EVENTS + CLOSING)])
    wire.send(chat(model="next"))
    wire.answer(said(b"well"))
    assert wire.client.received.endswith(said(b"well"))


def test_a_stream_is_cut_after_so_many_tokens_without_its_end() -> None:
    wire = stalled(failure="disconnect", after=3)
    wire.answer(streamed(EVENTS + CLOSING))
    got = Answers(wire.client.received)
    assert (got.whole, got.bodies, wire.client.end()) == (0, [b"".join(EVENTS[:3])], "closed")


def test_slow_tokens_come_one_after_the_other_and_the_next_request_waits_for_the_last() -> None:
    wire = stalled(failure="slow_tokens", gap=2_000)
    wire.answer(streamed(EVENTS[:3] + CLOSING))
    wire.send(chat(path="/v1/models"))
    for number in range(3):
        wire.scheduler.advance(1.99)
        assert Answers(wire.client.received).bodies == [b"".join(EVENTS[:number])]
        wire.scheduler.advance(0.01)
    assert Answers(wire.client.received).bodies == [b"".join(EVENTS[:3] + CLOSING)]
    assert wire.server.received == chat(stream=True) + chat(path="/v1/models")
    wire.answer(said(b"models"))
    assert wire.client.received.endswith(said(b"models"))


@pytest.mark.parametrize(
    ("failure", "expected"),
    [
        ("slow_first_token", EVENTS + CLOSING),
        ("one_giant_chunk", EVENTS + CLOSING),
        ("missing_terminator", EVENTS),
        ("duplicated_chunks", [*EVENTS[:3], EVENTS[3], *EVENTS[3:], *CLOSING]),
        ("reordered_chunks", [*EVENTS[:3], EVENTS[4], EVENTS[3], EVENTS[5], *CLOSING]),
        ("malformed_event", [*EVENTS[:3], b'data: {"choices":[{"delta":{"c\n\n', *EVENTS[4:], *CLOSING]),
    ],
)
def test_a_stream_is_broken_in_the_providers_own_tokens(failure: str, expected: list[bytes]) -> None:
    wire = stalled(failure=failure, delay=5_000)
    wire.answer(streamed(EVENTS + CLOSING))
    if failure in ("slow_first_token", "one_giant_chunk"):
        assert Answers(wire.client.received).bodies == [b""]
        wire.scheduler.advance(5)
    got = Answers(wire.client.received)
    assert (got.bodies, got.whole) == ([b"".join(expected)], 1)
    assert wire.counters.failed_requests == 1


def test_a_stream_turns_into_an_error_and_nothing_of_it_follows() -> None:
    wire = stalled(failure="error_event", after=2)
    wire.answer(streamed(EVENTS + CLOSING))
    events = Answers(wire.client.received).bodies[0].split(b"\n\n")
    assert [event + b"\n\n" for event in events[:2]] == EVENTS[:2]
    assert b'"error"' in events[2]
    assert events[3:] == [b""]


@pytest.mark.parametrize(
    "answer",
    [
        said(b'{"error": {}}', status=b"500 Internal Server Error"),
        b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}",
        streamed(EVENTS).replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n", 1),
    ],
)
def test_an_answer_that_is_no_readable_stream_passes_a_stall_untouched(answer: bytes) -> None:
    wire = stalled(failure="stall")
    for start in range(0, len(answer), 7):
        wire.answer(answer[start : start + 7])
    assert wire.client.received == answer
    assert wire.counters.failed_requests == 0


def test_a_stream_shorter_than_its_failure_stays_whole_and_does_not_count() -> None:
    wire = stalled(failure="stall", after=50)
    wire.answer(streamed(EVENTS + CLOSING))
    assert Answers(wire.client.received).bodies == [b"".join(EVENTS + CLOSING)]
    assert wire.counters.failed_requests == 0


PATHS = (
    "/v1/chat/completions",
    "/v1/responses",
    "/v1/messages",
    "/v2/chat",
    "/api/chat",
    "/openai/deployments/m/chat/completions?api-version=1",
    "/model/m/converse-stream",
    "/model/m/invoke-with-response-stream",
    "/v1beta/models/m:streamGenerateContent?alt=sse",
)
ASKED = b'{"model": "m", "messages": [], "stream": true, "stream_options": {"include_usage": true}}'


@pytest.mark.parametrize("name", sorted(installed_dialects()))
def test_every_dialect_knows_which_events_of_its_stream_say_something(name: str) -> None:
    dialect = installed_dialects()[name]
    call = next(call for path in PATHS if (call := dialect.call("POST", path, ASKED)) and call.stream)
    parts = dialect.stream(dialect._reply(call), call)
    assert all(dialect.says(event) for event in parts.tokens)
    assert not any(dialect.says(event) for event in (*parts.opening, *parts.closing))
