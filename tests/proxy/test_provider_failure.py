"""A provider that fails, on virtual time: what is answered in its place, and that everything else passes."""

import json

import pytest

from brownout.dialect import Failure
from brownout.proxy.toxic import Stream
from tests.proxy.chats import Answers, broken, chat, coded, failing, said
from tests.proxy.virtual import connected, toxic


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
