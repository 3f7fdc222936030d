"""Google Gemini: `POST /v1beta/models/MODEL:generateContent`, `:streamGenerateContent?alt=sse`; Vertex AI's too."""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qs, unquote

from brownout.dialect.answer import HttpAnswer
from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of, pretty, server_sent
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure

from ._edge import google_page

_PATH = re.compile(r"/(v1|v1beta|v1beta1|v1alpha)/(?:.*/)?models/([^/:]+):(generateContent|streamGenerateContent)")
_FINISH = {"stop": "STOP", "length": "MAX_TOKENS"}
_RPC = "type.googleapis.com/google.rpc."
_HELP = {
    "@type": f"{_RPC}Help",
    "links": [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        }
    ],
}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
        type="RESOURCE_EXHAUSTED",
        code="generate_content_paid_tier_requests/GenerateRequestsPerMinutePerProjectPerModel",
        param="{seconds}s",
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(
        429,
        "You exceeded your current quota, please check your plan and billing details. For more information on this "
        "error, head to: https://ai.google.dev/gemini-api/docs/rate-limits.",
        type="RESOURCE_EXHAUSTED",
        code="generate_content_paid_tier_input_token_count/GenerateContentInputTokensPerModelPerMinute",
        param="{seconds}s",
    ),
    Failure.QUOTA_EXHAUSTED: Problem(
        429,
        "You exceeded your current quota. Go to https://aistudio.google.com/apikey to upgrade your quota tier, or "
        "submit a quota increase request in "
        "https://ai.google.dev/gemini-api/docs/rate-limits#request-rate-limit-increase",
        type="RESOURCE_EXHAUSTED",
        code="generate_requests_per_model_per_day/GenerateRequestsPerDayPerProjectPerModel",
    ),
    Failure.OVERLOADED: Problem(503, "The model is overloaded. Please try again later.", type="UNAVAILABLE"),
    Failure.SERVER_ERROR: Problem(
        500,
        "An internal error has occurred. Please retry or report in "
        "https://developers.generativeai.google/guide/troubleshooting",
        type="INTERNAL",
    ),
    Failure.GATEWAY_TIMEOUT: Problem(
        504, "Deadline expired before operation could complete.", type="DEADLINE_EXCEEDED"
    ),
    Failure.EXPIRED_KEY: Problem(
        400, "API key expired. Please renew the API key.", type="INVALID_ARGUMENT", code="API_KEY_INVALID"
    ),
    Failure.FORBIDDEN: Problem(403, "The caller does not have permission", type="PERMISSION_DENIED"),
    Failure.MODEL_RETIRED: Problem(
        404,
        "models/{model} is not found for API version {operation}, or is not supported for generateContent. Call "
        "ListModels to see the list of available models and their supported methods.",
        type="NOT_FOUND",
    ),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(
        400,
        "The input token count (1196265) exceeds the maximum number of tokens allowed (1048575).",
        type="INVALID_ARGUMENT",
    ),
    Failure.TOO_LARGE: Problem(400, "Request payload size exceeds the limit: 20971520 bytes.", type="INVALID_ARGUMENT"),
}
_PAGES: Mapping[Failure, HttpAnswer] = {Failure.BAD_GATEWAY: google_page(502)}
_NOT_OFFERED: Mapping[Failure, str] = {Failure.REFUSAL: "it has no field for refusals; a model refuses in plain text"}


class Gemini(Dialect):
    """Sources: the Gemini API's troubleshooting guide (codes and statuses) and reference (`GenerateContentResponse`);
    google-genai's `errors.py` and `_api_client.py`. Bodies as reported: 429 with QuotaFailure and RetryInfo
    googleapis/python-genai#2044 and google-gemini/gemini-cli#8437, and by the day, without RetryInfo,
    langgenius/dify#19838; overload google-gemini/cookbook#425; a wrong key, a 400 here, continuedev/continue#10585,
    with the text for an expired one; a retired model wwardaww/gnome-gemini-ai#21. The texts for oversized contexts and
    requests are those that client code matches. Gemini says when to come back in the body, in `RetryInfo.retryDelay`,
    and sends no Retry-After. In a stream an error is a data frame with an `error` object, for which google-genai's
    `_api_client.py` looks; the stream has no terminator but the chunk with a `finishReason`.
    """

    name = "gemini"
    provider = "gemini"
    hosts = ("generativelanguage.googleapis.com", "aiplatform.googleapis.com", "*-aiplatform.googleapis.com")
    other_model = "gemini-2.0-flash-lite"
    token_mark = re.compile(rb'"text":\s*"[^"]')
    problems = _PROBLEMS
    pages = _PAGES
    not_offered = _NOT_OFFERED

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        bare, _, query = path.partition("?")
        match = _PATH.fullmatch(unquote(bare))
        if method != "POST" or match is None or fields_of(body) is None:
            return None
        version, model, action = match.groups()
        streamed = action == "streamGenerateContent"
        if streamed and parse_qs(query).get("alt") != ["sse"]:
            # One JSON array, in pieces: a form that none of Google's clients asks for.
            return None
        return Call(model=model, stream=streamed, operation=version)

    def error_body(self, problem: Problem, call: Call) -> bytes:
        error: dict[str, Any] = {"code": problem.status, "message": problem.message, "status": problem.type}
        if problem.type == "RESOURCE_EXHAUSTED" and problem.code is not None:
            metric, _, quota = problem.code.partition("/")
            violation = {
                "quotaMetric": f"generativelanguage.googleapis.com/{metric}",
                "quotaId": quota,
                "quotaDimensions": {"location": "global", "model": call.model},
            }
            error["details"] = [{"@type": f"{_RPC}QuotaFailure", "violations": [violation]}, _HELP]
            if problem.param is not None:
                error["details"].append({"@type": f"{_RPC}RetryInfo", "retryDelay": problem.param})
        elif problem.code is not None:
            service = {"service": "generativelanguage.googleapis.com"}
            info = {"@type": f"{_RPC}ErrorInfo", "reason": problem.code, "domain": "googleapis.com"}
            local = {"@type": f"{_RPC}LocalizedMessage", "locale": "en-US", "message": problem.message}
            error["details"] = [info | {"metadata": service}, local]
        return pretty({"error": error})

    def completion(self, reply: Reply, call: Call) -> bytes:
        if reply.finish == "content_filter":
            return pretty(self._blocked(reply, call))
        return pretty(self._chunk(reply, call, reply.text, last=True))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        if reply.finish == "content_filter":
            return StreamParts((), (), (server_sent(compact(self._blocked(reply, call))),))
        tokens = tuple(server_sent(compact(self._chunk(reply, call, token))) for token in reply.tokens)
        return StreamParts((), tokens, (server_sent(compact(self._chunk(reply, call, "", last=True))),))

    def error_event(self, call: Call, sent: int) -> bytes:
        problem = self.problems[Failure.OVERLOADED]
        fields = {"code": problem.status, "message": problem.message, "status": problem.type}
        return server_sent(compact({"error": fields}))

    def _chunk(self, reply: Reply, call: Call, text: str, *, last: bool = False) -> dict[str, Any]:
        candidate: dict[str, Any] = {"content": {"parts": [{"text": text}], "role": "model"}}
        if not reply.tokens:
            # A model that said nothing sends no parts at all.
            candidate["content"] = {"role": "model"}
        if last:
            candidate["finishReason"] = _FINISH[reply.finish]
        return {"candidates": [candidate | {"index": 0}]} | _about(reply, call)

    def _blocked(self, reply: Reply, call: Call) -> dict[str, Any]:
        feedback = {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}
        if reply.usage is not None:
            # A blocked prompt has cost what it cost to read, and nothing was said.
            reply = replace(reply, usage=replace(reply.usage, completion=0))
        return feedback | _about(reply, call)


def _about(reply: Reply, call: Call) -> dict[str, Any]:
    about = {"modelVersion": reply.model, "responseId": call.identifier("", 22)}
    if reply.usage is None:
        return about
    usage = {
        "promptTokenCount": reply.usage.prompt,
        "candidatesTokenCount": reply.usage.completion,
        "totalTokenCount": reply.usage.total,
    }
    return {"usageMetadata": usage} | about


dialect = Gemini()
