"""Requests of a provider's, without its client library."""

from dataclasses import dataclass
from typing import Any

import pytest

OPENAI = "https://api.openai.com/v1/chat/completions"
ANTHROPIC = "https://api.anthropic.com/v1/messages"


@dataclass(frozen=True)
class Ask:
    """A request as keyword arguments of `client.post`."""

    url: str = OPENAI
    stream: bool = False

    @property
    def post(self) -> dict[str, Any]:
        return {"url": self.url, "json": {"model": "a-model", "messages": [], "stream": self.stream}}


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is not intercepted fails, and does not reach anybody."""

    def refuse(*_: object, **__: object) -> None:
        msg = "a test went to the network"
        raise AssertionError(msg)

    monkeypatch.setattr("socket.getaddrinfo", refuse)
