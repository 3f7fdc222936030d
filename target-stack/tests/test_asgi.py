"""The way of a question past Starlette: the same answers as by way of it."""

import asyncio
import json
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.types import Message, Receive, Scope, Send

from target_stack.asgi import directly
from target_stack.chat import ChatEndpoint
from target_stack.clock import SystemClock

SCOPE: Scope = {"type": "http", "method": "POST", "path": "/questions", "headers": [], "client": None}


async def receive() -> Message:
    return {"type": "http.request", "body": b"", "more_body": False}


class Sent(list[Message]):
    """What an application sends."""

    async def send(self, message: Message) -> None:
        self.append(message)


@pytest.mark.parametrize(
    ("scope", "taken"),
    [
        ({}, "directly"),
        ({"path": "/questions/"}, "otherwise"),
        ({"method": "GET"}, "otherwise"),
        ({"type": "lifespan"}, "otherwise"),
    ],
)
def test_only_posts_to_that_very_path_go_directly(scope: dict[str, str], taken: str) -> None:
    ways: list[str] = []

    async def endpoint(_scope: Scope, _receive: Receive, _send: Send) -> None:
        ways.append("directly")

    async def otherwise(_scope: Scope, _receive: Receive, _send: Send) -> None:
        ways.append("otherwise")

    asyncio.run(directly("/questions", endpoint, otherwise)({**SCOPE, **scope}, receive, Sent().send))
    assert ways == [taken]


def test_what_nobody_expected_is_answered_as_an_internal_error_and_raised() -> None:
    def broken(_authorization: str | None) -> None:
        msg = "a bug, with a token in it"
        raise ZeroDivisionError(msg)

    nothing = cast("Any", None)
    endpoint = ChatEndpoint(
        cast("Any", SimpleNamespace(tenant=broken)),
        nothing,
        nothing,
        SystemClock(),
        nothing,
        request_ids=["1"],
        deadlines=nothing,
        admission=nothing,
    )
    sent = Sent()
    with pytest.raises(ZeroDivisionError):
        asyncio.run(endpoint(SCOPE, receive, sent.send))
    start, body = sent
    error = json.loads(body["body"])["error"]
    assert (start["status"], error["code"], error["error_source"]) == (500, "internal_error", "own_system")
    assert b"token" not in body["body"]
