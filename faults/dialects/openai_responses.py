"""OpenAI, responses: `POST /v1/responses`."""

import re
from typing import Any

from brownout.dialect.call import Call, Reply, StreamParts, Usage, compact, fields_of, pretty, server_sent

from .openai_chat import OpenAIChat

_REASONS = {"length": "max_output_tokens", "content_filter": "content_filter"}


class OpenAIResponses(OpenAIChat):
    """Errors and headers are those of chat completions (the guide to error codes makes no difference between the two).

    Sources, for the answers: the API reference of responses and of their streaming events, and the types of
    openai-python, `types/responses/`: `Response`, `ResponseErrorEvent` (fields at the top, no `error` object, so that
    the client hands the event on and raises nothing). A stream ends with `response.completed`, `response.incomplete`
    or `response.failed`; there is no `[DONE]`.
    """

    name = "openai_responses"
    paths = ("/v1/responses",)
    token_mark = re.compile(rb'"type":\s*"response\.(?:output_text|refusal)\.delta"')

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        fields = fields_of(body)
        if method != "POST" or path.partition("?")[0] not in self.paths or fields is None:
            return None
        return Call(model=str(fields.get("model", "")), stream=bool(fields.get("stream")))

    def completion(self, reply: Reply, call: Call) -> bytes:
        return pretty(_response(reply, call, done=True))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        sequence = 0

        def event(kind: str, **fields: object) -> bytes:
            nonlocal sequence
            data = {"type": kind, "sequence_number": sequence} | fields
            sequence += 1
            return server_sent(compact(data), kind)

        item = _message(reply, call)
        kind = "refusal" if reply.finish == "refusal" else "output_text"
        place = {"item_id": item["id"], "output_index": 0, "content_index": 0}
        begun = _response(reply, call, done=False)
        opening = (
            event("response.created", response=begun),
            event("response.in_progress", response=begun),
            event("response.output_item.added", output_index=0, item=item | {"status": "in_progress", "content": []}),
            event("response.content_part.added", **place, part=_part(kind, "")),
        )
        said = "refusal" if kind == "refusal" else "text"
        logprobs: dict[str, object] = {} if kind == "refusal" else {"logprobs": []}
        tokens = tuple(event(f"response.{kind}.delta", **place, delta=token, **logprobs) for token in reply.tokens)
        ended = _response(reply, call, done=True)
        closing = (
            event(f"response.{kind}.done", **place, **{said: reply.text}, **logprobs),
            event("response.content_part.done", **place, part=_part(kind, reply.text)),
            event("response.output_item.done", output_index=0, item=item),
            event(f"response.{ended['status']}", response=ended),
        )
        return StreamParts(opening, tokens, closing)

    def error_event(self, call: Call, sent: int) -> bytes:
        message = "The server had an error while processing your request. Sorry about that!"
        fields = {"type": "error", "code": "server_error", "message": message, "param": None, "sequence_number": sent}
        return server_sent(compact(fields), "error")


def _part(kind: str, text: str) -> dict[str, Any]:
    if kind == "refusal":
        return {"type": "refusal", "refusal": text}
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": []}


def _status(reply: Reply) -> str:
    return "incomplete" if reply.finish in _REASONS else "completed"


def _message(reply: Reply, call: Call) -> dict[str, Any]:
    kind = "refusal" if reply.finish == "refusal" else "output_text"
    return {
        "id": call.identifier("msg_", 48),
        "type": "message",
        "status": _status(reply),
        "role": "assistant",
        "content": [_part(kind, reply.text)],
    }


def _response(reply: Reply, call: Call, *, done: bool) -> dict[str, Any]:
    reason = _REASONS.get(reply.finish)
    return {
        "id": call.identifier("resp_", 48),
        "object": "response",
        "created_at": int(call.at),
        "status": _status(reply) if done else "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if done and reason else None,
        "instructions": None,
        "max_output_tokens": None,
        "model": reply.model,
        "output": [_message(reply, call)] if done and reply.tokens else [],
        "parallel_tool_calls": True,
        "previous_response_id": None,
        "reasoning": {"effort": None, "summary": None},
        "store": True,
        "temperature": 1.0,
        "text": {"format": {"type": "text"}},
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "truncation": "disabled",
        "usage": _usage(reply.usage) if done and reply.usage else None,
        "user": None,
        "metadata": {},
    }


def _usage(usage: Usage) -> dict[str, Any]:
    return {
        "input_tokens": usage.prompt,
        "input_tokens_details": {"cached_tokens": 0},
        "output_tokens": usage.completion,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": usage.total,
    }


dialect = OpenAIResponses()
