"""A provider that fails, on virtual time: which requests are answered, and what becomes of all the others."""

import json
from collections.abc import Sequence

import h11
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from brownout.dialect import Failure, installed_dialects
from brownout.proxy.errors import ApiError
from brownout.proxy.toxic import Stream, Toxic, toxic_type, with_attributes
from tests.proxy.test_http_framing import segmented
from tests.proxy.virtual import VirtualConnection, connected, toxic

EVENTS = [b'data: {"choices":[{"delta":{"content":"%d"}}]}\n\n' % number for number in range(6)]
CLOSING = [b'data: {"choices":[{"delta":{},"finish_reason":"stop"}]}\n\n', b"data: [DONE]\n\n"]


def chat(*, model: str = "a-model", stream: bool = False, path: str = "/v1/chat/completions", **headers: str) -> bytes:
    body = json.dumps({"model": model, "messages": [], "stream": stream}).encode()
    fields = {"Host": "a", **{name.replace("_", "-"): value for name, value in headers.items()}}
    head = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
    return f"POST {path} HTTP/1.1\r\n{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def said(text: bytes, *, status: bytes = b"200 OK") -> bytes:
    return b"HTTP/1.1 %b\r\nContent-Length: %d\r\n\r\n%b" % (status, len(text), text)


def streamed(events: Sequence[bytes]) -> bytes:
    head = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream; charset=utf-8\r\nTransfer-Encoding: chunked\r\n\r\n"
    return head + b"".join(map(coded, events)) + b"0\r\n\r\n"


def coded(event: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(event), event)


def failing(**attributes: float | str) -> Toxic:
    return toxic("provider_failure", **attributes)


def broken(fault: Toxic, wire: VirtualConnection | None = None) -> VirtualConnection:
    """A connection that the toxic has met."""
    wire = wire or connected(http=True)
    wire.connection.upstream.apply([fault])
    return wire


class Answers:
    """What a client makes of the bytes that it has received."""

    def __init__(self, received: bytes, *, requests: int = 1) -> None:
        self.statuses: list[int] = []
        self.bodies: list[bytes] = []
        self.whole = 0
        for _ in range(requests):
            client = h11.Connection(h11.CLIENT)
            client.send(h11.Request(method="POST", target="/", headers=[("Host", "a"), ("Content-Length", "0")]))
            client.send(h11.EndOfMessage())
            client.receive_data(received)
            while (event := client.next_event()) is not h11.NEED_DATA:
                if isinstance(event, h11.Response):
                    self.statuses.append(event.status_code)
                    self.bodies.append(b"")
                elif isinstance(event, h11.Data):
                    self.bodies[-1] += event.data
                elif isinstance(event, h11.EndOfMessage):
                    self.whole += 1
                    break
            received = client.trailing_data[0]
        self.rest = received


def test_a_request_is_answered_as_the_provider_would_and_never_reaches_it() -> None:
    wire = broken(failing(failure="rate_limited_requests", retry_after=7_000))
    wire.send(chat())
    answers = Answers(wire.client.received)
    assert answers.statuses == [429]
    assert b"retry-after: 7\r\n" in wire.client.received
    assert json.loads(answers.bodies[0])["error"]["code"] == "rate_limit_exceeded"
    assert wire.server.received == b""
    assert wire.client.end() is None
    assert (wire.counters.requests, wire.counters.matched_requests, wire.counters.failed_requests) == (1, 1, 1)
    counted = wire.counters.snapshot()
    assert (counted.upstream_bytes, counted.upstream_swallowed) == (0, len(chat()))
    assert counted.downstream_bytes == len(wire.client.received)


def test_the_same_connection_serves_the_next_request_when_the_provider_is_well_again() -> None:
    wire = broken(failing(first=1))
    wire.send(chat())
    wire.send(chat(model="next"))
    assert wire.server.received == chat(model="next")
    wire.answer(said(b"well"))
    assert Answers(wire.client.received, requests=2).statuses == [500, 200]
    assert wire.client.received.endswith(said(b"well"))


@pytest.mark.parametrize(
    "request_",
    [
        chat(path="/v1/models"),
        b"GET /health HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\nno JSON.",
        b"HEAD /v1/chat/completions HTTP/1.1\r\nHost: a\r\n\r\n",
    ],
)
def test_what_no_dialect_understands_passes_byte_for_byte(request_: bytes) -> None:
    wire = broken(failing())
    wire.send(request_)
    assert wire.server.received == request_
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\n" + b"" if request_.startswith(b"HEAD") else said(b"well")
    wire.answer(answer)
    wire.send(chat())
    assert wire.client.received.startswith(answer)
    assert Answers(wire.client.received[len(answer) :]).statuses == [500]


def test_a_request_in_chunked_coding_is_understood_and_one_that_passes_keeps_its_chunks() -> None:
    body = json.dumps({"model": "m", "messages": []}).encode()
    head = b"POST /v1/chat/completions HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    request = head + coded(body[:7]) + coded(body[7:]) + b"0\r\n\r\n"
    wire = broken(failing(first=1))
    wire.send(request)
    assert Answers(wire.client.received).statuses == [500]
    wire.send(request)
    assert wire.server.received == request


def test_a_request_in_flight_when_the_toxic_comes_passes_and_the_next_one_does_not() -> None:
    wire = connected(http=True)
    request = chat()
    wire.send(request[:40])
    broken(failing(), wire)
    wire.send(request[40:])
    assert wire.server.received == request
    wire.answer(said(b"well")[:10])
    wire.send(chat())
    wire.answer(said(b"well")[10:])
    answers = Answers(wire.client.received, requests=2)
    assert answers.statuses == [200, 500]
    assert wire.server.received == request


def test_a_toxic_that_goes_gives_back_what_it_held_and_leaves_the_connection_plain() -> None:
    wire = broken(failing())
    request = chat()
    wire.send(request[:60])
    assert wire.server.received == b""
    wire.connection.upstream.apply([])
    assert wire.server.received == request[:60]
    wire.send(request[60:] + chat(model="other"))
    assert wire.server.received == request + chat(model="other")
    wire.answer(said(b"one") + said(b"two"))
    assert wire.client.received == said(b"one") + said(b"two")


def test_pipelined_requests_are_answered_in_their_order() -> None:
    wire = broken(failing(every=2))
    wire.send(
        chat(model="1") + chat(model="2") + chat(model="3") + chat(model="4") + b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    assert wire.server.received == chat(model="1")
    wire.answer(said(b"one"))
    assert wire.server.received == chat(model="1") + chat(model="3")
    wire.answer(said(b"three"))
    assert wire.server.received.endswith(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    wire.answer(said(b"five"))
    answers = Answers(wire.client.received, requests=5)
    assert answers.statuses == [200, 500, 200, 500, 200]
    assert (answers.bodies[0], answers.bodies[2], answers.bodies[4]) == (b"one", b"three", b"five")
    assert answers.rest == b""


def test_hundreds_of_pipelined_requests_are_answered_one_after_the_other() -> None:
    wire = broken(failing())
    wire.send(chat() * 1500)
    assert Answers(wire.client.received, requests=1500).whole == 1500


def test_silence_lasts_as_long_as_said_and_ends_without_an_answer() -> None:
    wire = broken(failing(failure="silent", delay=30_000))
    wire.send(chat())
    wire.scheduler.advance(29.9)
    assert (wire.client.received, wire.client.end()) == (b"", None)
    wire.scheduler.advance(0.2)
    assert (wire.client.received, wire.client.end()) == (b"", "closed")
    assert wire.server.received == b""


def test_a_server_that_closes_an_idle_connection_does_not_cut_an_answer_that_it_does_not_give() -> None:
    wire = broken(failing(failure="silent", delay=30_000))
    wire.send(chat())
    wire.connection.server.eof_received()
    wire.connection.server.connection_lost(None)
    wire.scheduler.advance(29.9)
    assert wire.client.end() is None
    wire.scheduler.advance(0.2)
    assert wire.client.end() == "closed"


def test_a_client_that_gives_up_on_a_stall_ends_the_connection_and_the_server_hears_of_it() -> None:
    wire = broken(failing(failure="stall", after=1))
    wire.send(chat(stream=True))
    wire.answer(streamed(EVENTS)[:-5])
    wire.connection.client.eof_received()
    assert (wire.client.end(), wire.server.end()) == ("closed", "closed")


def test_who_waits_for_an_answer_that_will_not_come_is_disconnected_when_the_toxic_goes() -> None:
    wire = broken(failing(failure="silent"))
    wire.send(chat())
    wire.connection.upstream.apply([])
    assert (wire.client.end(), wire.client.received) == ("closed", b"")


# Streams


def stalled(**attributes: float | str) -> VirtualConnection:
    wire = broken(failing(**attributes))
    wire.send(chat(stream=True))
    assert wire.server.received == chat(stream=True)
    return wire


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


# Which requests


@pytest.mark.parametrize(
    ("conditions", "meant", "others"),
    [
        ({"path": "/v1/chat/*"}, [chat()], []),
        ({"path": "/openai/*"}, [], [chat()]),
        ({"model": "gpt-*"}, [chat(model="gpt-5")], [chat(model="o3")]),
        ({"header": "x-team"}, [chat(x_team="a"), chat(X_Team="b")], [chat()]),
        ({"header": "X-Team: a*"}, [chat(x_team="abc")], [chat(x_team="b"), chat()]),
        ({"tenant": "clinic"}, [chat(x_tenant_id="clinic")], [chat(x_tenant_id="bank"), chat()]),
        ({"tenant": "clinic", "model": "big"}, [chat(x_tenant_id="clinic", model="big")], [chat(x_tenant_id="clinic")]),
    ],
)
def test_only_the_requests_that_are_meant_fail(
    conditions: dict[str, str], meant: list[bytes], others: list[bytes]
) -> None:
    for request in meant:
        wire = broken(failing(**conditions))
        wire.send(request)
        assert Answers(wire.client.received).statuses == [500]
    for request in others:
        wire = broken(failing(**conditions))
        wire.send(request)
        assert wire.server.received == request
        assert wire.counters.matched_requests == 0


def outcomes(requests: int, *, seed: int = 0, **conditions: float) -> list[bool]:
    """Which of so many requests on one connection fail."""
    wire = broken(failing(**conditions), connected(http=True, seed=seed))
    failed = []
    for _ in range(requests):
        before = wire.counters.failed_requests
        wire.send(chat())
        failed.append(wire.counters.failed_requests > before)
        if not failed[-1]:
            wire.answer(said(b"well"))
    return failed


def test_first_and_every_count_the_requests_that_are_meant_over_all_connections() -> None:
    assert outcomes(5, first=2) == [True, True, False, False, False]
    assert outcomes(6, every=3) == [False, False, True, False, False, True]
    fault = failing(first=1)
    first, second = broken(fault), broken(fault)
    first.send(chat(path="/v1/models"))
    second.send(chat())
    first.answer(said(b"models"))
    first.send(chat())
    assert (second.counters.failed_requests, first.counters.failed_requests) == (1, 0)


def test_a_share_of_requests_is_about_that_share_and_the_same_for_the_same_seed() -> None:
    once, again, other = (outcomes(400, share=0.3, seed=seed) for seed in (1, 1, 2))
    assert once == again != other
    assert 80 <= sum(once) <= 160
    # The toxic's own seed, whatever the proxy's.
    wire = [broken(failing(share=0.3, seed=9), connected(http=True, seed=proxy)) for proxy in (1, 2)]
    for one in wire:
        one.send(chat() * 20)
    assert wire[0].counters.failed_requests == wire[1].counters.failed_requests


# Whatever the segments


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


# What makes no sense


@pytest.mark.parametrize(
    ("attributes", "said_"),
    [
        ({"provider": "opanai"}, "did you mean 'openai'"),
        ({"failure": "server_eror"}, "did you mean 'server_error'"),
        ({"provider": "vllm", "failure": "quota_exhausted"}, "vllm has no quota_exhausted"),
        ({"share": 1.5}, "share must be above 0 and at most 1"),
        ({"factor": 1}, "factor must be between"),
        ({"delay": 10**9}, "delay must be between"),
        ({"pth": "/"}, "did you mean 'path'"),
    ],
)
def test_attributes_that_make_no_sense_are_refused(attributes: dict[str, object], said_: str) -> None:
    with pytest.raises(ApiError, match=said_):
        with_attributes(toxic_type("provider_failure").attributes(), attributes)


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


def test_both_streams_of_a_connection_will_do() -> None:
    wire = connected(http=True)
    fault = toxic("provider_failure", stream=Stream.DOWNSTREAM, failure=Failure.OVERLOADED.value)
    wire.connection.downstream.apply([fault])
    wire.send(chat())
    assert Answers(wire.client.received).statuses == [503]


def test_another_protocol_on_the_connection_passes_untouched_whatever_it_looks_like() -> None:
    wire = broken(failing())
    upgrade = b"GET /socket HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    switching = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello"
    wire.send(upgrade)
    wire.answer(switching[:20])
    wire.answer(switching[20:])
    wire.send(chat())
    assert wire.server.received == upgrade + chat()
    assert wire.client.received == switching
    wire.connection.upstream.apply([])
    broken(failing(), wire)
    wire.send(chat())
    assert wire.server.received == upgrade + chat() * 2


def test_a_client_that_waits_to_be_told_to_continue_is_told_once() -> None:
    wire = broken(failing(first=1))
    request = chat(Expect="100-continue")
    head, body = request.split(b"\r\n\r\n")
    head += b"\r\n\r\n"
    for _ in range(2):
        wire.send(head)
        assert wire.client.received.endswith(b"HTTP/1.1 100 Continue\r\n\r\n")
        wire.send(body)
    assert wire.server.received == request
    wire.answer(b"HTTP/1.1 100 Continue\r\n\r\n" + said(b"well"))
    assert wire.client.received.count(b"100 Continue") == 2
    assert wire.client.received.endswith(said(b"well"))
    assert Answers(wire.client.received.replace(b"HTTP/1.1 100 Continue\r\n\r\n", b""), requests=2).statuses == [
        500,
        200,
    ]


def test_a_client_that_wants_the_connection_closed_gets_its_answer_and_that() -> None:
    wire = broken(failing())
    wire.send(chat(Connection="close"))
    assert Answers(wire.client.received).whole == 1
    assert wire.client.end() == "closed"


def test_a_half_closed_client_gets_its_answer_and_the_server_the_end() -> None:
    wire = broken(failing(failure="slow_first_token", provider="openai", delay=1_000))
    wire.send(chat(stream=True))
    wire.connection.client.eof_received()
    assert wire.server.eof_at == 0.0
    wire.answer(streamed(EVENTS + CLOSING))
    wire.scheduler.advance(2)
    assert Answers(wire.client.received).whole == 1


def test_a_request_that_is_cut_off_goes_on_as_far_as_it_came() -> None:
    wire = broken(failing())
    wire.send(chat()[:50])
    wire.connection.client.eof_received()
    assert wire.server.received == chat()[:50]
    assert wire.server.eof_at == 0.0


def test_a_provider_that_dies_in_a_slow_stream_dies_for_the_client_too_when_its_time_has_come() -> None:
    wire = stalled(failure="slow_tokens", gap=1_000)
    wire.answer(streamed(EVENTS)[: -len(b"0\r\n\r\n")])
    wire.connection.server.eof_received()
    wire.scheduler.advance(5.5)
    assert wire.client.eof_at is None
    wire.scheduler.advance(1)
    got = Answers(wire.client.received)
    assert (got.bodies, got.whole) == ([b"".join(EVENTS)], 0)
    assert wire.client.eof_at is not None


def test_a_client_that_gives_up_in_silence_is_let_go_at_once() -> None:
    wire = broken(failing(failure="silent", delay=3_600_000))
    wire.send(chat())
    wire.connection.client.eof_received()
    assert (wire.client.end(), wire.server.end()) == ("closed", "closed")


def test_a_toxic_that_goes_in_the_middle_of_a_head_loses_none_of_it() -> None:
    wire = stalled(failure="stall")
    answer = streamed(EVENTS)
    wire.answer(answer[:30])
    assert wire.client.received == b""
    wire.connection.upstream.apply([])
    wire.answer(answer[30:])
    assert wire.client.received == answer


def test_two_toxics_on_one_connection_share_its_requests_and_go_one_by_one() -> None:
    wire = connected(http=True)
    limited = failing(failure="rate_limited_requests", model="a")
    overloaded = toxic("provider_failure", stream=Stream.DOWNSTREAM, failure="overloaded")
    wire.connection.upstream.apply([limited])
    wire.connection.downstream.apply([overloaded])
    wire.send(chat(model="a") + chat(model="b"))
    wire.connection.upstream.apply([])
    wire.send(chat(model="a"))
    wire.connection.downstream.apply([])
    wire.send(chat(model="b"))
    wire.answer(said(b"well"))
    assert Answers(wire.client.received, requests=4).statuses == [429, 503, 503, 200]
    wire.connection.upstream.apply([limited])
    wire.connection.downstream.apply([overloaded])
    wire.connection.close()


def test_a_latency_toxic_delays_answers_that_are_given_here_as_well() -> None:
    wire = broken(failing())
    wire.connection.downstream.apply([toxic("latency", stream=Stream.DOWNSTREAM, latency=300)])
    wire.send(chat())
    assert wire.client.received == b""
    wire.scheduler.advance(0.31)
    assert Answers(wire.client.received).statuses == [500]


def test_nothing_follows_a_cut_that_is_still_on_its_way() -> None:
    wire = broken(failing(failure="disconnect", after=1, first=1))
    wire.connection.downstream.apply([toxic("latency", stream=Stream.DOWNSTREAM, latency=300)])
    wire.send(chat(stream=True) + chat())
    for piece in (streamed(EVENTS)[:300], streamed(EVENTS)[300:], said(b"late")):
        wire.answer(piece)
    wire.scheduler.advance(1)
    assert (Answers(wire.client.received).bodies, wire.client.end()) == ([EVENTS[0]], "closed")
