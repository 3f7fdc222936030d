"""OpenAI, chat completions: `POST /v1/chat/completions`."""

import math
import re
from collections.abc import Mapping
from typing import Any, ClassVar

from brownout.dialect.answer import Headers, HttpAnswer
from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of, pretty, server_sent
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure, Options

from ._edge import CLOUDFLARE, cloudflare_page

LIMIT_REQUESTS, LIMIT_TOKENS = 500, 30_000
_LIMITS = {
    Failure.RATE_LIMITED_REQUESTS: (0, LIMIT_TOKENS - 62, "{after}", "124ms"),
    Failure.RATE_LIMITED_TOKENS: (LIMIT_REQUESTS - 1, 63, "120ms", "{after}"),
}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429,
        "Rate limit reached for {model} in organization org-brownout on requests per min (RPM): Limit 500, "
        "Used 500, Requested 1. Please try again in {seconds}s. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        type="requests",
        code="rate_limit_exceeded",
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(
        429,
        "Rate limit reached for {model} in organization org-brownout on tokens per min (TPM): Limit 30000, "
        "Used 29937, Requested 385. Please try again in {seconds}s. Visit "
        "https://platform.openai.com/account/rate-limits to learn more.",
        type="tokens",
        code="rate_limit_exceeded",
    ),
    Failure.QUOTA_EXHAUSTED: Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors.",
        type="insufficient_quota",
        code="insufficient_quota",
    ),
    Failure.OVERLOADED: Problem(
        503,
        "That model is currently overloaded with other requests. You can retry your request, or contact us through "
        "our help center at help.openai.com if the error persists.",
        type="server_error",
    ),
    Failure.SERVER_ERROR: Problem(
        500, "The server had an error while processing your request. Sorry about that!", type="server_error"
    ),
    Failure.EXPIRED_KEY: Problem(
        401,
        "Incorrect API key provided: sk-brown************0out. You can find your API key at "
        "https://platform.openai.com/account/api-keys.",
        type="invalid_request_error",
        code="invalid_api_key",
    ),
    Failure.FORBIDDEN: Problem(
        403,
        "Country, region, or territory not supported",
        type="request_forbidden",
        code="unsupported_country_region_territory",
    ),
    Failure.MODEL_RETIRED: Problem(
        404,
        "The model `{model}` has been deprecated, learn more here: https://platform.openai.com/docs/deprecations",
        type="invalid_request_error",
        code="model_not_found",
    ),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(
        400,
        "This model's maximum context length is 128000 tokens. However, your messages resulted in 130182 tokens. "
        "Please reduce the length of the messages.",
        type="invalid_request_error",
        param="messages",
        code="context_length_exceeded",
    ),
}
_PAGES: Mapping[Failure, HttpAnswer] = {
    Failure.BAD_GATEWAY: cloudflare_page(502),
    Failure.GATEWAY_TIMEOUT: cloudflare_page(504),
    Failure.TOO_LARGE: cloudflare_page(413),
}


class OpenAIChat(Dialect):
    """Sources, for the errors: OpenAI's guide to error codes and its help article 6891839; bodies as reported: limits
    by requests and tokens vanderschaarlab/climb#1 and continuedev/continue#11472; spent quota as the guide has
    it, with `insufficient_quota` and no Retry-After (newer codes such as `organization_spend_limit_exceeded` come
    with the same type: help article 6614457); overload ikechan8370/chatgpt-plugin#125; a retired model
    orhanerday/open-ai#135; 413 of the edge openai/codex#2908. Rate-limit headers: the guide to rate limits, values in
    the form `6m0s`; that Retry-After comes in seconds and in milliseconds: openai-python, `_base_client.py`, which
    reads both.

    For the answers: the API reference, and the types of openai-python, `types/chat/`. An error in mid-stream is a data
    frame with an `error` object, for which openai-python's `_streaming.py` looks in every frame.
    """

    name = "openai_chat"
    provider = "openai"
    hosts: ClassVar[tuple[str, ...]] = ("api.openai.com",)
    other_model = "gpt-3.5-turbo-0125"
    paths: ClassVar[tuple[str, ...]] = ("/v1/chat/completions",)
    token_mark = re.compile(rb'(?:content|"refusal)":\s*"[^"]')
    problems = _PROBLEMS
    pages = _PAGES

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        fields = fields_of(body)
        if method != "POST" or path.partition("?")[0] not in self.paths or fields is None:
            return None
        options = fields.get("stream_options") or {}
        return Call(
            model=str(fields.get("model", "")),
            stream=bool(fields.get("stream")),
            include_usage=isinstance(options, dict) and bool(options.get("include_usage")),
        )

    def headers(self, call: Call) -> Headers:
        identity = ("x-request-id", call.identifier("req_", 32))
        return (("openai-version", "2020-10-01"), ("openai-processing-ms", "187"), identity, *CLOUDFLARE)

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        if failure not in _LIMITS:
            return ()
        requests, tokens, *resets = _LIMITS[failure]
        reset_requests, reset_tokens = (reset.format(after=_duration(options.retry_after)) for reset in resets)
        return (
            ("x-ratelimit-limit-requests", str(LIMIT_REQUESTS)),
            ("x-ratelimit-limit-tokens", str(LIMIT_TOKENS)),
            ("x-ratelimit-remaining-requests", str(requests)),
            ("x-ratelimit-remaining-tokens", str(tokens)),
            ("x-ratelimit-reset-requests", reset_requests),
            ("x-ratelimit-reset-tokens", reset_tokens),
            *retry_after(options),
        )

    def error_body(self, problem: Problem, call: Call) -> bytes:
        fields = {"message": problem.message, "type": problem.type, "param": problem.param, "code": problem.code}
        return pretty({"error": fields}, indent=4)

    def completion(self, reply: Reply, call: Call) -> bytes:
        refused = reply.finish == "refusal"
        message: dict[str, Any] = {
            "role": "assistant",
            "content": None if refused else reply.text,
            "refusal": reply.text if refused else None,
            "annotations": [],
        }
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": _finish(reply)}
        answer = self._object(reply, call, "chat.completion") | {"choices": [choice]}
        if reply.usage is not None:
            answer["usage"] = _usage(reply)
        return pretty(answer | {"system_fingerprint": "fp_brownout"})

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        base = self._object(reply, call, "chat.completion.chunk") | {"system_fingerprint": "fp_brownout"}
        if call.include_usage:
            base["usage"] = None

        def chunk(delta: dict[str, Any], finish: str | None = None) -> bytes:
            choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
            return server_sent(compact(base | {"choices": [choice]}))

        spoken = "refusal" if reply.finish == "refusal" else "content"
        opening = chunk({"role": "assistant", "content": "", "refusal": None})
        tokens = tuple(chunk({spoken: token}) for token in reply.tokens)
        closing = [chunk({}, _finish(reply))]
        if call.include_usage and reply.usage is not None:
            closing.append(server_sent(compact(base | {"choices": [], "usage": _usage(reply)})))
        return StreamParts((opening,), tokens, (*closing, server_sent(b"[DONE]")))

    def error_event(self, call: Call, sent: int) -> bytes:
        message = "The server had an error while processing your request. Sorry about that!"
        fields = {"message": message, "type": "server_error", "param": None, "code": None}
        return server_sent(compact({"error": fields}))

    def _object(self, reply: Reply, call: Call, kind: str) -> dict[str, Any]:
        created = int(call.at)
        return {"id": call.identifier("chatcmpl-", 29), "object": kind, "created": created, "model": reply.model}


def retry_after(options: Options) -> Headers:
    """When to come back, in whole seconds as HTTP has it, and in milliseconds."""
    milliseconds = math.ceil(options.retry_after * 1000)
    return (("retry-after", str(math.ceil(options.retry_after))), ("retry-after-ms", str(milliseconds)))


def _duration(seconds: float) -> str:
    """`90.0` → `1m30s`, `0.2` → `200ms`, as Go prints durations."""
    if seconds < 1:
        return f"{seconds * 1000:.0f}ms"
    minutes, rest = divmod(seconds, 60)
    return (f"{minutes:.0f}m" if minutes else "") + f"{rest:.3f}".rstrip("0").rstrip(".") + "s"


def _finish(reply: Reply) -> str:
    return "stop" if reply.finish == "refusal" else reply.finish


def _usage(reply: Reply) -> dict[str, Any]:
    assert reply.usage is not None  # noqa: S101 - its callers looked
    return {
        "prompt_tokens": reply.usage.prompt,
        "completion_tokens": reply.usage.completion,
        "total_tokens": reply.usage.total,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
    }


dialect = OpenAIChat()
