"""Ollama's own API: `POST /api/chat`, wherever it runs. (Its OpenAI-compatible one is close to `vllm`.)"""

import re
from collections.abc import Mapping
from typing import Any

from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure

_LOCAL = "a server of one's own has no such limit or permission"

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.OVERLOADED: Problem(503, "server busy, please try again.  maximum pending requests exceeded"),
    Failure.SERVER_ERROR: Problem(500, "the model failed to generate a response"),
    Failure.MODEL_RETIRED: Problem(404, "model '{model}' not found"),
}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.RATE_LIMITED_REQUESTS: _LOCAL,
    Failure.RATE_LIMITED_TOKENS: _LOCAL,
    Failure.QUOTA_EXHAUSTED: _LOCAL,
    Failure.EXPIRED_KEY: _LOCAL,
    Failure.FORBIDDEN: _LOCAL,
    Failure.BAD_GATEWAY: "nothing stands in front of it, unless you put it there",
    Failure.GATEWAY_TIMEOUT: "nothing stands in front of it, unless you put it there",
    Failure.CONTEXT_LENGTH_EXCEEDED: "it cuts prompts that are too long without a word",
    Failure.TOO_LARGE: "it has no limit on the size of requests",
    Failure.CONTENT_FILTER: "it filters nothing",
    Failure.REFUSAL: "it has no field for refusals; a model refuses in plain text",
}


class Ollama(Dialect):
    """Sources: docs.ollama.com/api/errors (statuses; one field, `error`; an error in mid-stream is one more line, with
    that field alone) and docs.ollama.com/api/chat (the answer, its counts and durations, NDJSON streams);
    `ErrMaxQueue` in ollama's `server/sched.go`, two spaces included, sent with 503; an unknown model ollama#15027. It
    cuts prompts that are too long without a word.
    """

    name = "ollama"
    provider = "ollama"
    other_model = "llama3.2:1b"
    token_mark = re.compile(rb'"(?:content|response|thinking)":\s*"[^"]')
    stream_type = "application/x-ndjson"
    problems = _PROBLEMS
    not_offered = _NOT_OFFERED

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        fields = fields_of(body)
        if method != "POST" or path.partition("?")[0] != "/api/chat" or fields is None:
            return None
        # It streams unless it is told not to.
        return Call(model=str(fields.get("model", "")), stream=bool(fields.get("stream", True)))

    def error_body(self, problem: Problem, call: Call) -> bytes:
        return compact({"error": problem.message})

    def completion(self, reply: Reply, call: Call) -> bytes:
        return compact(_line(reply, call, reply.text) | _end(reply))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        tokens = tuple(compact(_line(reply, call, token) | {"done": False}) + b"\n" for token in reply.tokens)
        return StreamParts((), tokens, (compact(_line(reply, call, "") | _end(reply)) + b"\n",))

    def error_event(self, call: Call, sent: int) -> bytes:
        return compact({"error": "an error was encountered while running the model"}) + b"\n"


def _line(reply: Reply, call: Call, text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    return {"model": reply.model, "created_at": call.timestamp(), "message": message}


def _end(reply: Reply) -> dict[str, Any]:
    end: dict[str, Any] = {"done": True, "done_reason": "length" if reply.finish == "length" else "stop"}
    # Nanoseconds: a small model, already loaded.
    durations = {"total_duration": 412_000_000, "load_duration": 21_000_000}
    if reply.usage is None:
        return end | durations
    return (
        end
        | durations
        | {"prompt_eval_count": reply.usage.prompt, "prompt_eval_duration": 54_000_000}
        | {"eval_count": reply.usage.completion, "eval_duration": 330_000_000}
    )


dialect = Ollama()
