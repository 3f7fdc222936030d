"""A real client against real sockets that answer as chat-completion servers do, and as they should not."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import pytest

from brownout.clock import RunClock
from brownout.evidence.model import Request
from brownout.experiment import Load
from brownout.load import Asker
from brownout.target import Caller, Question
from brownout.units import Latency

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
SERVING = {
    "request_id": "r-1",
    "model": "atlas-large",
    "provider": "llm-secondary",
    "degradation_level": 1,
    "cache_used": True,
    "cache_age_s": 3.5,
    "retrieval": "cached",
    "retrieval_quality": "medium",
    "warnings": ["documents from the cache"],
    "citations": ["mb-1"],
    "usage": {"prompt_tokens": 10, "completion_tokens": 3},
    "cost_usd": 0.002,
    "attempts": {"vector-db": 2},
}


@dataclass
class Recorded:
    started: list[int] = field(default_factory=list)
    requests: list[Request] = field(default_factory=list)

    waiting: list[tuple[str, str | None]] = field(default_factory=list)
    heard: list[float] = field(default_factory=list)

    def request_started(self, id: int, intended: float, *, tier: str, load: str | None) -> None:  # noqa: A002
        self.started.append(id)
        self.waiting.append((tier, load))

    def request_heard(self, id: int, at: float) -> None:  # noqa: A002
        self.heard.append(at)

    def add_request(self, request: Request) -> None:
        self.requests.append(request)


def ask(
    answer: Answer | None,
    *,
    stream: bool = True,
    timeout: float = 60.0,
    name: str | None = None,
    deadline: float | None = None,
) -> Request:
    recorded = Recorded()
    said = b"" if deadline is None else f"\r\nx-request-timeout-ms: {deadline * 1000:.0f}\r\n".encode()

    async def work() -> None:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            await reader.readexactly(length)
            assert b"bearer secret" in head.lower()
            assert said in head.lower()
            assert b"accept-encoding: identity" in head.lower()
            assert (b"x-request-timeout-ms" in head.lower()) is bool(said)
            assert answer is not None
            try:
                await answer(reader, writer)
            finally:
                writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        if answer is None:
            server.close()
            await server.wait_closed()
        clock = RunClock()
        load = Load(
            stream=stream,
            timeout=Latency(timeout),
            name=name,
            deadline=None if deadline is None else Latency(deadline),
        )
        async with server, Asker(f"http://127.0.0.1:{port}", load, record=recorded, clock=clock) as asker:
            await asker.ask(7, clock.now() - 0.05, Question("q", "acme", "why?"), Caller("acme", "pro", "secret"))

    asyncio.run(work())
    assert recorded.started == [7]
    assert recorded.waiting == [("pro", name)]
    if stream and recorded.requests[0].first_token is not None:
        assert recorded.heard[0] <= recorded.requests[0].first_token
    (request,) = recorded.requests
    return request


def head(status: str = "200 OK", kind: str = "text/event-stream") -> bytes:
    return f"HTTP/1.1 {status}\r\ncontent-type: {kind}\r\nconnection: close\r\n\r\n".encode()


def event(body: object) -> bytes:
    return b"data: " + (body if isinstance(body, bytes) else json.dumps(body).encode()) + b"\n\n"


def token(text: str) -> bytes:
    return event({"choices": [{"index": 0, "delta": {"content": text}}]})


def test_a_complete_stream_is_ok_and_timed_from_when_it_was_due() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + event({"choices": [{"index": 0, "delta": {"role": "assistant"}}]}))
        for text in ("one", " two", " three"):
            await asyncio.sleep(0.1)
            writer.write(token(text))
            await writer.drain()
        writer.write(event({"choices": [], "serving": SERVING}) + event(b"[DONE]"))

    request = ask(answer)

    assert request.outcome == "ok"
    assert request.error is None
    assert request.ttft is not None
    assert request.total is not None
    assert 0.05 + 0.1 <= request.ttft < request.total
    assert request.sent - request.intended >= 0.05
    assert request.tpot is not None
    # Who reads late, on a busy machine, finds two tokens closer together than they were sent.
    assert 0.015 <= request.tpot < 5
    assert (request.level, request.retrieval, request.cache_age, request.cost) == (1, "cached", 3.5, 0.002)
    assert request.warnings == ("documents from the cache",)
    assert request.citations == ("mb-1",)
    assert request.attempts == {"vector-db": 2}


@pytest.mark.parametrize("stream", [True, False])
def test_an_error_that_is_null_is_none(stream: bool) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = {"error": None, "choices": [{"delta": {"content": "yes"}, "message": {"content": "yes"}}]}
        if stream:
            writer.write(head() + event(body) + event(b"[DONE]"))
        else:
            writer.write(head(kind="application/json") + json.dumps(body).encode())

    request = ask(answer, stream=stream)

    assert (request.outcome, request.error) == ("ok", None)
    assert request.first_token is not None


def test_a_stream_without_its_end_mark_is_cut() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + token("half an"))

    request = ask(answer)

    assert request.outcome == "cut"
    assert request.first_token is not None
    assert request.level is None


def test_a_connection_lost_within_a_stream_is_cut() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\ndata: {}")
        await writer.drain()

    request = ask(answer)

    assert (request.outcome, request.error) == ("cut", "RemoteProtocolError")


def test_an_error_event_within_a_stream_is_an_error_with_its_source() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        error = {"message": "the prompt was: secret things", "code": "stream_stalled", "error_source": "provider"}
        writer.write(head() + token("half") + event({"error": error, "serving": SERVING}) + event(b"[DONE]"))

    request = ask(answer)

    assert (request.outcome, request.error, request.error_source) == ("error", "stream_stalled", "provider")
    assert request.level == 1
    assert "secret things" not in repr(request)


def test_a_refusal_keeps_status_code_and_source() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = {"error": {"type": "overloaded", "code": None, "error_source": "own_system"}}
        writer.write(head("503 Service Unavailable", "application/json") + json.dumps(body).encode())

    request = ask(answer)

    assert (request.outcome, request.status) == ("error", 503)
    assert (request.error, request.error_source) == ("overloaded", "own_system")


@pytest.mark.parametrize("body", [b"<html>502</html>", b"", b"[1]", b"null", b'"x"', b"[" * 100_000])
def test_a_body_that_is_not_what_it_should_be_is_an_error(body: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head("502 Bad Gateway", "text/html") + body)

    request = ask(answer)

    assert (request.outcome, request.status, request.error) == ("error", 502, "http_502")


@pytest.mark.parametrize("body", [b"{}", b'{"choices": []}', b'{"choices": [{}]}'])
def test_a_plain_answer_without_a_message_is_none(body: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(kind="application/json") + body)

    request = ask(answer, stream=False)

    assert (request.outcome, request.error, request.first_token) == ("error", "empty_body", None)


def test_a_redirect_is_no_answer() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head("302 Found", "application/json") + b"{}")

    assert ask(answer).outcome == "error"


def test_a_damaged_encoding_is_recorded_as_what_it_is() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 500 X\r\ncontent-encoding: gzip\r\nconnection: close\r\n\r\nthis is not gzip")

    request = ask(answer)

    assert (request.status, request.error) == (500, "DecodingError")
    assert request.outcome in {"cut", "error"}


@pytest.mark.parametrize("number", [10**400, 1e400, float("nan"), -(10**30)])
def test_absurd_numbers_are_as_good_as_none(number: float) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        said = {"cost_usd": number, "attempts": {"vector-db": number}, "usage": {"completion_tokens": number}}
        writer.write(head() + token("x") + event({"choices": [], "serving": said}) + event(b"[DONE]"))

    request = ask(answer)

    assert (request.outcome, request.cost, request.attempts, request.completion_tokens) == ("ok", None, {}, None)


@pytest.mark.parametrize("junk", [b"not json", b"[]", b'{"choices": 1}', b'{"choices": [1, null, {"delta": 3}]}'])
def test_a_junk_event_never_raises(junk: bytes) -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + event(junk) + event(b"[DONE]"))

    assert ask(answer).outcome in {"cut", "error"}


def test_metadata_of_the_wrong_types_is_as_good_as_none() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lies = {"degradation_level": "0", "warnings": "none", "usage": [], "attempts": 4, "cost_usd": True}
        writer.write(head() + token("x") + event({"choices": [], "serving": lies}) + event(b"[DONE]"))

    request = ask(answer)

    assert (request.outcome, request.level, request.warnings, request.cost) == ("ok", None, (), None)
    assert request.attempts == {}


def test_an_answer_that_never_comes_is_a_timeout_at_the_stated_time() -> None:
    async def answer(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
        await reader.read()

    request = ask(answer, timeout=0.3)

    assert (request.outcome, request.error) == ("timeout", "client_timeout")
    assert request.total is not None
    # 30 s later than due is 30 s late, however late it was sent.
    assert 0.3 <= request.total < 20


def test_no_server_is_a_refused_connection() -> None:
    request = ask(None)

    assert (request.outcome, request.status, request.error) == ("refused", None, "ConnectError")


def test_a_plain_answer_is_read_whole() -> None:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = {"choices": [{"message": {"content": "yes"}}], "serving": SERVING}
        writer.write(head(kind="application/json") + json.dumps(body).encode())

    request = ask(answer, stream=False)

    assert (request.outcome, request.level, request.model) == ("ok", 1, "atlas-large")
    assert request.first_token is not None


def test_a_request_knows_its_stream_and_announces_how_long_its_client_will_wait() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head() + token("yes") + event(b"[DONE]"))

    assert ask(answer, name="spike", deadline=1.5).load == "spike"
    assert ask(answer).load is None


@pytest.mark.parametrize(
    ("said", "seconds"), [("30", 30.0), (" 0 ", 0.0), ("Wed, 21 Oct 2026 07:28:00 GMT", None), ("-1", None), ("", None)]
)
def test_how_long_to_stay_away_is_recorded_where_it_is_said_in_seconds(said: str, seconds: float | None) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = b'{"error": {"code": "shed", "error_source": "rate_limit"}}'
        writer.write(
            b"HTTP/1.1 429 Too Many Requests\r\ncontent-type: application/json\r\nconnection: close\r\n"
            + f"retry-after: {said}\r\ncontent-length: {len(body)}\r\n\r\n".encode()
            + body
        )

    request = ask(answer)
    assert (request.status, request.error, request.retry_after) == (429, "shed", seconds)
