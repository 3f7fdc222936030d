"""What an answer says of itself.

The reference stack's disclosure is an object named `serving`: beside `choices` in a plain answer, in the last chunk
of a stream (target-stack/README.md documents it). Where it is missing or malformed the fields stay None: an answer that
discloses nothing is recorded as such, and `disclosed` judges it.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from brownout.api import CHAT, Api, JsonApi

MOST_PIECES = 20_000
"""Of an answer's text: more than any model's longest, and a bound all the same."""


@dataclass(slots=True)
class AnswerFields:
    """What is gathered while an answer arrives. Its text is held until it has been graded, and never recorded."""

    status: int | None = None
    error: str | None = None
    error_source: str | None = None
    retry_after: float | None = None
    finished: bool = False
    closed: bool = False
    """A finish reason was given."""
    first_token: float | None = None
    last_token: float | None = None
    pieces: int = 0
    serving: Mapping[str, Any] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)
    """As chat completions tell it, beside `choices`."""
    text: list[str] = field(default_factory=list, repr=False)

    def read_retry_after(self, header: str | None) -> None:
        """Take how many seconds `Retry-After` says; a date, which it may also be, says nothing without a clock."""
        text = (header or "").strip()
        if text.isascii() and text.isdigit():
            self.retry_after = float(text[:9])

    def read_error(self, body: Mapping[str, Any]) -> None:
        """Take the code and the source from an OpenAI-shaped error body."""
        error = body.get("error")
        if isinstance(error, dict):
            self.error = _text(error.get("code")) or _text(error.get("type")) or "error"
            self.error_source = _text(error.get("error_source"))
        elif isinstance(error, str):
            self.error = error[:80]
        self._read_serving(body)

    def read_chunk(self, data: bytes, now: float) -> None:
        """One event of a stream, arrived at `now`."""
        if data.strip() == b"[DONE]":
            # An end mark alone is no answer: something must have been said, or said to be all.
            self.finished = self.pieces > 0 or self.closed
            return
        body = _json(data)
        if body is None:
            self.error = self.error or "malformed_event"
            return
        if body.get("error") is not None:
            self.read_error(body)
            return
        self._read_serving(body)
        choices = body.get("choices")
        if not isinstance(choices, list):
            self.error = self.error or "malformed_event"
            return
        for choice in choices:
            if not isinstance(choice, dict):
                continue
            self.closed = self.closed or bool(choice.get("finish_reason"))
            delta = choice.get("delta")
            if isinstance(delta, dict) and delta.get("content"):
                self.first_token = now if self.first_token is None else self.first_token
                self.last_token = now
                self.pieces += 1
                self._hear(delta["content"])

    def read_piece(self, data: bytes, now: float, *, api: JsonApi) -> None:
        """One piece of a stream of another API, arrived at `now`; one without the text tells of something else."""
        if not api.answer:
            text: str | None = data.decode("utf-8", "replace")
        elif data.strip() == b"[DONE]":
            return
        elif (body := _json(data)) is None:
            self.error = self.error or "malformed_event"
            return
        else:
            text = api.found(body)
        if text:
            self.first_token = now if self.first_token is None else self.first_token
            self.last_token = now
            self.pieces += 1
            self._hear(text)

    def read_body(self, data: bytes, now: float, *, api: Api = CHAT) -> None:
        """A whole answer that was not streamed, or an error's body."""
        if isinstance(api, JsonApi) and self.status is not None and self.status < 300:
            text = api.found(_value(data)) if api.answer else data.decode("utf-8", "replace").strip()
            if not text:
                self.error = "no_answer_in_body"
                return
            self._hear(text)
            self.first_token = self.last_token = now
            self.finished = True
            return
        body = _json(data)
        if body is None:
            self.error = "malformed_body" if self.status is not None and self.status < 300 else f"http_{self.status}"
            return
        if body.get("error") is not None or (self.status is not None and self.status >= 300):
            self.error = f"http_{self.status}"
            self.read_error(body)
            return
        self._read_serving(body)
        choices = body.get("choices")
        choices = choices if isinstance(choices, list) else []
        messages = [one["message"] for one in choices if isinstance(one, dict) and one.get("message")]
        if not messages:
            self.error = "empty_body"
            return
        for message in messages:
            self._hear(message.get("content") if isinstance(message, dict) else None)
        self.first_token = self.last_token = now
        self.finished = True

    def _hear(self, text: object) -> None:
        if isinstance(text, str) and len(self.text) < MOST_PIECES:
            self.text.append(text)

    def _read_serving(self, body: Mapping[str, Any]) -> None:
        serving, usage = body.get("serving"), body.get("usage")
        if isinstance(serving, dict):
            self.serving = serving
        if isinstance(usage, dict):
            self.usage = usage

    def recorded(self) -> dict[str, Any]:
        """The disclosed fields, by their names in `brownout.evidence.Request`."""
        said = self.serving
        usage = said.get("usage") if isinstance(said.get("usage"), dict) else self.usage
        attempts = said.get("attempts") if isinstance(said.get("attempts"), dict) else {}
        completion = _whole((usage or {}).get("completion_tokens"))
        tokens = completion or self.pieces
        spread = (self.last_token or 0.0) - (self.first_token or 0.0)
        return {
            "request_id": _text(said.get("request_id")),
            "model": _text(said.get("model")),
            "provider": _text(said.get("provider")),
            "level": _whole(said.get("degradation_level")),
            "retrieval": _text(said.get("retrieval")),
            "retrieval_quality": _text(said.get("retrieval_quality")),
            "cache_used": said.get("cache_used") if isinstance(said.get("cache_used"), bool) else None,
            "cache_age": _number(said.get("cache_age_s")),
            "warnings": _texts(said.get("warnings")),
            "citations": _texts(said.get("citations")),
            "prompt_tokens": _whole((usage or {}).get("prompt_tokens")),
            "completion_tokens": completion,
            "tpot": spread / (tokens - 1) if tokens > 1 and spread > 0 else None,
            "cost": _number(said.get("cost_usd")),
            "attempts": {
                str(name)[:80]: count for name, count in (attempts or {}).items() if _whole(count) is not None
            },
        }


def _json(data: bytes) -> dict[str, Any] | None:
    body = _value(data)
    return body if isinstance(body, dict) else None


def _value(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _text(value: object) -> str | None:
    return value[:200] if isinstance(value, str) and value else None


def _texts(value: object) -> tuple[str, ...]:
    return tuple(item[:200] for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def _whole(value: object) -> int | None:
    # 2**53: what JSON's readers agree on, and less than what SQLite holds.
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) <= 2**53 else None


def _number(value: object) -> float | None:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    whole = _whole(value)
    return None if whole is None else float(whole)
