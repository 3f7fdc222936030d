"""Doors that are not the reference stack's: plain chat completions, and APIs of people's own."""

import asyncio
import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from brownout.api import ChatApi, JsonApi
from brownout.clock import RunClock
from brownout.evidence.model import Request
from brownout.experiment import Load
from brownout.load import Asker, ExpectedFacts
from brownout.target import Caller, Question
from brownout.units import Latency
from tests.load.test_asker import Recorded

PLAIN = ChatApi(model="gpt-4o-mini", policy=False)
ANY = Caller("default", "default", "")


@dataclass
class Door:
    """Answers every request with what it is given, and keeps what it was asked."""

    kind: str
    body: bytes
    status: int = 200
    asked: list[tuple[str, dict[str, str], Any]] = field(default_factory=list)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
        sent = await reader.readexactly(int(fields.get("content-length", 0)))
        self.asked.append((lines[0], fields, json.loads(sent) if sent else None))
        head = f"HTTP/1.1 {self.status} X\r\ncontent-type: {self.kind}\r\nconnection: close\r\n\r\n"
        writer.write(head.encode() + self.body)
        writer.close()
        await writer.wait_closed()


def ask(door: Door, api: ChatApi | JsonApi, question: Question, *, stream: bool = True) -> Request:
    recorded = Recorded()

    async def work() -> None:
        server = await asyncio.start_server(door.serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        load = Load(stream=stream, timeout=Latency(60.0))
        facts = ExpectedFacts() if question.facts else None
        async with server, Asker(url, load, record=recorded, clock=RunClock(), api=api, grade=facts) as asker:
            await asker.ask(1, 0.0, question, ANY)

    asyncio.run(work())
    (request,) = recorded.requests
    return request


def chunk(text: str) -> bytes:
    return b"data: " + json.dumps({"choices": [{"delta": {"content": text}}]}).encode() + b"\n\n"


WHY = Question("q", "default", "why, and who?")


def test_plain_chat_completions_are_asked_without_what_is_ours_and_their_usage_is_read() -> None:
    usage = b'data: {"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 9}}\n\n'
    door = Door("text/event-stream", chunk("because") + chunk(" of it") + usage + b"data: [DONE]\n\n")

    request = ask(door, PLAIN, WHY)

    ((line, fields, body),) = door.asked
    assert line == "POST /v1/chat/completions HTTP/1.1"
    assert "authorization" not in fields
    assert body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "user", "content": "why, and who?"}],
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (request.outcome, request.level, request.provider, request.citations) == ("ok", None, None, ())
    assert (request.prompt_tokens, request.completion_tokens) == (5, 9)


def test_who_is_asked_for_a_stream_may_answer_in_one_piece() -> None:
    door = Door("application/json", json.dumps({"choices": [{"message": {"content": "because"}}]}).encode())

    request = ask(door, PLAIN, WHY)

    assert request.outcome == "ok"
    assert request.first_token is not None


OWN = JsonApi(
    "/ask", ("answers", "0", "text"), template={"ask": {"text": "Please: {question}"}, "top": [3, "{question}"]}
)


def test_an_api_of_ones_own_is_asked_as_its_template_says_and_its_answer_is_found() -> None:
    door = Door("application/json", b'{"answers": [{"text": "Paris, in France"}]}')

    request = ask(door, OWN, Question("q", "default", 'what "is" it?', facts=("paris", "the Seine")))

    ((line, _, body),) = door.asked
    assert line == "POST /ask HTTP/1.1"
    assert body == {"ask": {"text": 'Please: what "is" it?'}, "top": [3, 'what "is" it?']}
    assert (request.outcome, request.stream, request.claims, request.claims_supported) == ("ok", False, 2, 1)


def test_a_question_in_a_path_is_escaped() -> None:
    door = Door("text/plain", b"because")

    request = ask(door, JsonApi("/ask?q={question}", (), method="GET"), Question("q", "default", "a & b/c?"))

    assert door.asked[0][0] == "GET /ask?q=a%20%26%20b%2Fc%3F HTTP/1.1"
    assert door.asked[0][2] is None
    assert request.outcome == "ok"


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (200, b'{"answers": []}', "no_answer_in_body"),
        (200, b'{"answers": [{"text": ""}]}', "no_answer_in_body"),
        (200, b'{"answers": [{"text": 4}]}', "no_answer_in_body"),
        (200, b"<html>", "no_answer_in_body"),
        (502, b'{"detail": "no provider"}', "http_502"),
        (429, b'{"error": {"code": "slow_down"}}', "slow_down"),
    ],
)
def test_what_holds_no_answer_is_an_error(status: int, body: bytes, error: str) -> None:
    request = ask(Door("application/json", body, status), OWN, WHY)

    assert (request.outcome, request.status, request.error) == ("error", status, error)


@pytest.mark.parametrize(
    ("stream", "answer", "kind", "body"),
    [
        (
            "sse",
            ("t",),
            "text/event-stream",
            b'data: {"t": "be"}\n\ndata: {"n": 1}\n\ndata: {"t": "cause"}\n\ndata: [DONE]\n\n',
        ),
        ("lines", ("t",), "application/x-ndjson", b'{"t": "be"}\n\n{"n": 1}\n{"t": "cause"}'),
        ("text", (), "text/plain", b"because"),
    ],
)
def test_streams_of_other_kinds_are_read(stream: Any, answer: tuple[str, ...], kind: str, body: bytes) -> None:
    api = JsonApi("/ask", answer, template={"q": "{question}"}, stream=stream)

    request = ask(Door(kind, body), api, Question("q", "default", "why?", facts=("because",)))

    assert (request.outcome, request.stream, request.claims_supported) == ("ok", True, 1)
    assert request.first_token is not None


def test_a_stream_without_an_answer_is_cut() -> None:
    api = JsonApi("/ask", ("t",), template={"q": "{question}"}, stream="sse")

    assert ask(Door("text/event-stream", b'data: {"n": 1}\n\n'), api, WHY).outcome == "cut"
