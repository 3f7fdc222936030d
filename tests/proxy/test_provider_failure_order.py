"""A provider that fails, on virtual time: the turn that each message takes, and how connections end meanwhile."""

from brownout.proxy.toxic import Stream
from tests.proxy.chats import CLOSING, EVENTS, Answers, broken, chat, failing, said, stalled, streamed
from tests.proxy.virtual import toxic


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


def test_nothing_follows_a_cut_that_is_still_on_its_way() -> None:
    wire = broken(failing(failure="disconnect", after=1, first=1))
    wire.connection.downstream.apply([toxic("latency", stream=Stream.DOWNSTREAM, latency=300)])
    wire.send(chat(stream=True) + chat())
    for piece in (streamed(EVENTS)[:300], streamed(EVENTS)[300:], said(b"late")):
        wire.answer(piece)
    wire.scheduler.advance(1)
    assert (Answers(wire.client.received).bodies, wire.client.end()) == ([EVENTS[0]], "closed")
