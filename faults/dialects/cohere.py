"""Cohere, version 2: `POST /v2/chat`."""

import re
from collections.abc import Mapping
from typing import Any

from brownout.dialect.answer import Headers
from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of, server_sent
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure

_FINISH = {"stop": "COMPLETE", "length": "MAX_TOKENS"}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429, "You are past the per minute request limit, please wait and try again later."
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(429, "trial token rate limit exceeded, limit is 100000 tokens per minute"),
    Failure.QUOTA_EXHAUSTED: Problem(
        402,
        "Maximum billing reached for this API key as set in your dashboard, please go to "
        "https://dashboard.cohere.com/billing?tab=payment to increase your maximum amount to continue using this "
        "API key. Your billing capacity will reset at the beginning of next month.",
    ),
    Failure.OVERLOADED: Problem(503, "This error is returned when the service is unavailable."),
    Failure.SERVER_ERROR: Problem(500, "There was an unexpected internal server error."),
    Failure.GATEWAY_TIMEOUT: Problem(504, "This error is returned when a request to the server times out."),
    Failure.EXPIRED_KEY: Problem(
        401,
        "Your API key has expired. Please create a production key at dashboard.cohere.com or reach out to your "
        "contact at Cohere to continue usage.",
    ),
    Failure.FORBIDDEN: Problem(403, "The user does not have the necessary permissions."),
    Failure.MODEL_RETIRED: Problem(
        404,
        "model '{model}' not found, make sure the correct model ID was used and that you have access to the model.",
    ),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(
        400,
        "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292. Try using a "
        "shorter prompt, or enabling prompt truncating. See https://docs.cohere.com/reference/generate for more "
        "details.",
    ),
    Failure.CONTENT_FILTER: Problem(498, "This error is returned when a response contains a deny-listed token."),
}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.BAD_GATEWAY: "no answer of an edge in front of it is documented",
    Failure.TOO_LARGE: "it counts tokens, not bytes: context_length_exceeded",
    Failure.REFUSAL: "it has no field for refusals; a model refuses in plain text",
    Failure.OTHER_MODEL: "its answers do not name the model",
}


class Cohere(Dialect):
    """Sources: Cohere's error reference (docs.cohere.com/reference/errors: the texts, 402 and 429 among them) and the
    chat API's OpenAPI description (statuses 400 to 504, each with a flat body of `message` and `id`; 498 for a
    deny-listed token; `finish_reason` and the streaming events); cohere-python's `types/` and `v2/`. Its 429 carries no
    header at all: none is documented, and Elasticsearch's `CohereResponseHandler` notes that the trial key's headers
    are absent from 429s. Where the reference has no example text (403, 498, 500, 503, 504), the text is its own
    description.
    """

    name = "cohere"
    provider = "cohere"
    hosts = ("api.cohere.com", "api.cohere.ai")
    other_model = "command-r7b-12-2024"
    token_mark = re.compile(rb'"type":\s*"content-delta"')
    problems = _PROBLEMS
    not_offered = _NOT_OFFERED

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        fields = fields_of(body)
        if method != "POST" or path.partition("?")[0] != "/v2/chat" or fields is None:
            return None
        return Call(model=str(fields.get("model", "")), stream=bool(fields.get("stream")))

    def headers(self, call: Call) -> Headers:
        return (("x-debug-trace-id", call.identifier("", 32)), ("via", "1.1 google"))

    def error_body(self, problem: Problem, call: Call) -> bytes:
        return compact({"id": call.uuid(), "message": problem.message})

    def completion(self, reply: Reply, call: Call) -> bytes:
        content = [{"type": "text", "text": reply.text}] if reply.tokens else []
        message = {"role": "assistant", "content": content}
        answer = {"id": call.uuid(), "message": message, "finish_reason": _FINISH[reply.finish]}
        return compact(answer | _usage(reply))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        message = {"role": "assistant", "content": [], "tool_plan": "", "tool_calls": [], "citations": []}
        opening = [_event("message-start", id=call.uuid(), delta={"message": message})]
        closing = [_event("message-end", delta={"finish_reason": _FINISH[reply.finish]} | _usage(reply))]
        if reply.tokens:
            block = {"message": {"content": {"type": "text", "text": ""}}}
            opening.append(_event("content-start", index=0, delta=block))
            closing.insert(0, _event("content-end", index=0))
        tokens = (
            _event("content-delta", index=0, delta={"message": {"content": {"text": token}}}) for token in reply.tokens
        )
        return StreamParts(tuple(opening), tuple(tokens), tuple(closing))

    def error_event(self, call: Call, sent: int) -> bytes:
        failed = {"finish_reason": "ERROR", "error": "The generation failed due to an internal error"}
        return _event("message-end", delta=failed)


def _event(kind: str, **fields: object) -> bytes:
    return server_sent(compact({"type": kind} | fields), kind)


def _usage(reply: Reply) -> dict[str, Any]:
    if reply.usage is None:
        return {}
    counts = {"input_tokens": reply.usage.prompt, "output_tokens": reply.usage.completion}
    return {"usage": {"billed_units": counts, "tokens": counts}}


dialect = Cohere()
