"""How a question is put to a system's front door, and where in what comes back its answer stands."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import quote

QUESTION = "{question}"
"""Stands for the question's text, in a path and in any text of a body."""


@dataclass(frozen=True, slots=True)
class ChatApi:
    """OpenAI-compatible chat completions (https://platform.openai.com/docs/api-reference/chat)."""

    model: str = "default"
    policy: bool = True
    """Whether requests name the consistency policy, which is an extension of the reference stack's."""
    path = "/v1/chat/completions"
    method = "POST"
    streams = True

    def asked_at(self, question: str) -> str:
        return self.path

    def body(self, question: str, *, policy: str, stream: bool) -> Mapping[str, object]:
        """What is sent."""
        body: dict[str, object] = {
            "model": self.model,
            "messages": [{"role": "user", "content": question}],
            "stream": stream,
        }
        if self.policy:
            body["policy"] = policy
        if stream:
            body["stream_options"] = {"include_usage": True}
        return body


@dataclass(frozen=True, slots=True)
class JsonApi:
    """Another HTTP API that takes a question and gives an answer, as JSON or as a stream."""

    path: str
    answer: tuple[str, ...]
    """The keys, and indexes of lists, that lead to the answer's text in the JSON body, or in each event of a stream;
    empty where the body or the event is the text."""
    method: Literal["GET", "POST", "PUT"] = "POST"
    template: Any = None
    """The JSON body with `QUESTION` somewhere; None where there is none."""
    stream: Literal["sse", "lines", "text", None] = None
    """How an answer is streamed: as server-sent events, as lines, or as mere text; None where it is not."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)

    @property
    def streams(self) -> bool:
        return self.stream is not None

    def asked_at(self, question: str) -> str:
        """The path at which it is asked."""
        return self.path.replace(QUESTION, quote(question, safe=""))

    def body(self, question: str, *, policy: str, stream: bool) -> Any:
        """What is sent."""
        return _filled(self.template, question)

    def found(self, body: Any) -> str | None:
        """The answer's text in what came back; None where there is none."""
        for key in self.answer:
            if isinstance(body, list) and key.isdigit() and int(key) < len(body):
                body = body[int(key)]
            elif isinstance(body, dict) and key in body:
                body = body[key]
            else:
                return None
        return body if isinstance(body, str) and body else None


Api = ChatApi | JsonApi
CHAT = ChatApi()
"""That of the reference stack."""


def _filled(template: Any, question: str) -> Any:
    if isinstance(template, str):
        return template.replace(QUESTION, question)
    if isinstance(template, Mapping):
        return {key: _filled(value, question) for key, value in template.items()}
    if isinstance(template, list | tuple):
        return [_filled(value, question) for value in template]
    return template
