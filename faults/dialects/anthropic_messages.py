"""Anthropic, messages: `POST /v1/messages`."""

import math
import re
from collections.abc import Mapping
from typing import Any

from brownout.dialect.answer import Headers, HttpAnswer
from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of, server_sent
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure, Options

from ._edge import CLOUDFLARE, cloudflare_page

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "refusal": "refusal"}
_SHOULD_RETRY = (Failure.RATE_LIMITED_REQUESTS, Failure.RATE_LIMITED_TOKENS, Failure.OVERLOADED, Failure.SERVER_ERROR)
_LIMITS = {"requests": 4000, "tokens": 280_000, "input-tokens": 200_000, "output-tokens": 80_000}
_SPENT = {
    Failure.RATE_LIMITED_REQUESTS: ("requests",),
    Failure.RATE_LIMITED_TOKENS: ("input-tokens",),
}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429,
        "This request would exceed the rate limit for your organization of 4,000 requests per minute. For details, "
        "refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for current "
        "usage. Please try again later.",
        type="rate_limit_error",
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(
        429,
        "This request would exceed the rate limit for your organization of 200,000 input tokens per minute. For "
        "details, refer to: https://docs.anthropic.com/en/api/rate-limits. You can see the response headers for "
        "current usage. Please reduce the prompt length or the maximum tokens requested, or try again later.",
        type="rate_limit_error",
    ),
    Failure.QUOTA_EXHAUSTED: Problem(
        429,
        "You have reached your API usage limits: your organization has crossed its monthly API usage threshold, set "
        "based on your organization's API tier.",
        type="rate_limit_error",
        code="enforced_spend_limit_reached",
    ),
    Failure.OVERLOADED: Problem(529, "Overloaded", type="overloaded_error"),
    Failure.SERVER_ERROR: Problem(500, "Internal server error", type="api_error"),
    Failure.GATEWAY_TIMEOUT: Problem(504, "Request timed out", type="timeout_error"),
    Failure.EXPIRED_KEY: Problem(401, "invalid x-api-key", type="authentication_error"),
    Failure.FORBIDDEN: Problem(
        403, "Your API key does not have permission to use the specified resource.", type="permission_error"
    ),
    Failure.MODEL_RETIRED: Problem(404, "model: {model}", type="not_found_error"),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(
        400, "prompt is too long: 200251 tokens > 200000 maximum", type="invalid_request_error"
    ),
    Failure.TOO_LARGE: Problem(413, "Request exceeds the maximum size", type="request_too_large"),
    Failure.CONTENT_FILTER: Problem(400, "Output blocked by content filtering policy", type="invalid_request_error"),
}
_PAGES: Mapping[Failure, HttpAnswer] = {Failure.BAD_GATEWAY: cloudflare_page(502)}


class AnthropicMessages(Dialect):
    """Sources: the API documentation, "Errors" (statuses, types, the shape with `request_id`; 413 comes from Cloudflare
    and without them: anthropics/claude-code#3335), "Rate limits" (headers, RFC 3339 times) and "Streaming messages"
    (the order of events; an `error` event in mid-stream). Bodies and headers as reported: rate limits
    whoz-oss/coday#110 and FoundationAgents/OpenManus#746; overload, 529, anthropic-sdk-typescript#616; a wrong key
    ITSpecialist111/ai_automation_suggester#153; too long a prompt boldsoftware/exe.dev#62. A spent allowance: a 429
    without Retry-After and with `details.error_code` `enforced_spend_limit_reached`: "Errors", and `types/shared/` of
    anthropic-sdk-python. The output filter is a 400, "Output blocked by content filtering policy", as users report.
    """

    name = "anthropic"
    provider = "anthropic"
    hosts = ("api.anthropic.com",)
    other_model = "claude-3-haiku-20240307"
    token_mark = re.compile(rb'"type":\s*"content_block_delta"')
    problems = _PROBLEMS
    pages = _PAGES

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        fields = fields_of(body)
        if method != "POST" or path.partition("?")[0] != "/v1/messages" or fields is None:
            return None
        return Call(model=str(fields.get("model", "")), stream=bool(fields.get("stream")))

    def headers(self, call: Call) -> Headers:
        return (
            ("request-id", call.identifier("req_011C", 20)),
            ("anthropic-organization-id", "00000000-0000-4000-8000-000000000000"),
            *CLOUDFLARE,
        )

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        hint = (("x-should-retry", "true"),) if failure in _SHOULD_RETRY else ()
        if failure not in _SPENT:
            return hint
        limits: list[tuple[str, str]] = []
        for kind, limit in _LIMITS.items():
            spent = kind in _SPENT[failure]
            limits += [
                (f"anthropic-ratelimit-{kind}-limit", str(limit)),
                (f"anthropic-ratelimit-{kind}-remaining", "0" if spent else str(limit)),
                (f"anthropic-ratelimit-{kind}-reset", call.timestamp(options.retry_after if spent else 0)),
            ]
        return (*hint, ("retry-after", str(math.ceil(options.retry_after))), *limits)

    def error_body(self, problem: Problem, call: Call) -> bytes:
        error: dict[str, Any] = {"type": problem.type, "message": problem.message}
        if problem.status == 413:
            return compact({"error": error})
        if problem.code is not None:
            error["details"] = {"error_code": problem.code}
        return compact({"type": "error", "error": error, "request_id": call.identifier("req_011C", 20)})

    def completion(self, reply: Reply, call: Call) -> bytes:
        text = [{"type": "text", "text": reply.text}] if reply.tokens else []
        finish = {"stop_reason": _STOP_REASONS[reply.finish], "stop_sequence": None}
        return compact(_message(reply, call) | {"content": text} | finish | _usage(reply))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        usage = {"usage": {**_input(reply), "output_tokens": 1}} if reply.usage else {}
        begun = _message(reply, call) | {"content": [], "stop_reason": None, "stop_sequence": None} | usage
        block = {"type": "text", "text": ""}
        finish = {"stop_reason": _STOP_REASONS[reply.finish], "stop_sequence": None}
        counted = {"usage": {"output_tokens": reply.usage.completion}} if reply.usage else {}
        opening = [_event("message_start", message=begun)]
        closing = [_event("message_delta", delta=finish, **counted), _event("message_stop")]
        if reply.tokens:
            opening += [_event("content_block_start", index=0, content_block=block), _event("ping")]
            closing.insert(0, _event("content_block_stop", index=0))
        tokens = (
            _event("content_block_delta", index=0, delta={"type": "text_delta", "text": token})
            for token in reply.tokens
        )
        return StreamParts(tuple(opening), tuple(tokens), tuple(closing))

    def error_event(self, call: Call, sent: int) -> bytes:
        return _event("error", error={"type": "overloaded_error", "message": "Overloaded"})


def _event(kind: str, **fields: object) -> bytes:
    return server_sent(compact({"type": kind} | fields), kind)


def _message(reply: Reply, call: Call) -> dict[str, Any]:
    return {"id": call.identifier("msg_01", 22), "type": "message", "role": "assistant", "model": reply.model}


def _input(reply: Reply) -> dict[str, int]:
    prompt = reply.usage.prompt if reply.usage else 0
    return {"input_tokens": prompt, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 0}


def _usage(reply: Reply) -> dict[str, Any]:
    if reply.usage is None:
        return {}
    return {"usage": {**_input(reply), "output_tokens": reply.usage.completion, "service_tier": "standard"}}


dialect = AnthropicMessages()
