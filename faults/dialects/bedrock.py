"""Amazon Bedrock, the Converse API: `POST /model/MODEL/converse` and `/converse-stream`."""

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import unquote

from brownout.dialect.answer import Headers, HttpAnswer
from brownout.dialect.call import Call, Reply, StreamParts, compact, fields_of
from brownout.dialect.dialect import Dialect, Problem
from brownout.dialect.failure import Failure, Options

from . import _eventstream

_STOP_REASONS = {"stop": "end_turn", "length": "max_tokens", "content_filter": "content_filtered"}

_PROBLEMS: Mapping[Failure, Problem] = {
    Failure.RATE_LIMITED_REQUESTS: Problem(
        429, "Too many requests, please wait before trying again.", type="ThrottlingException"
    ),
    Failure.RATE_LIMITED_TOKENS: Problem(
        429, "Too many tokens, please wait before trying again.", type="ThrottlingException"
    ),
    Failure.QUOTA_EXHAUSTED: Problem(
        429, "Too many tokens per day, please wait before trying again.", type="ThrottlingException"
    ),
    Failure.OVERLOADED: Problem(503, "Bedrock is unable to process your request.", type="ServiceUnavailableException"),
    Failure.SERVER_ERROR: Problem(
        500,
        "The system encountered an unexpected error during processing. Try your request again.",
        type="InternalServerException",
    ),
    Failure.GATEWAY_TIMEOUT: Problem(
        408, "Model has timed out in processing the request. Try your request again.", type="ModelTimeoutException"
    ),
    Failure.EXPIRED_KEY: Problem(
        403, "The security token included in the request is expired", type="ExpiredTokenException"
    ),
    Failure.FORBIDDEN: Problem(
        403, "You don't have access to the model with the specified model ID.", type="AccessDeniedException"
    ),
    Failure.MODEL_RETIRED: Problem(
        404,
        "This model version has reached the end of its life. Please refer to the AWS documentation for more details.",
        type="ResourceNotFoundException",
    ),
    Failure.CONTEXT_LENGTH_EXCEEDED: Problem(400, "Input is too long for requested model.", type="ValidationException"),
}
_PAGES: Mapping[Failure, HttpAnswer] = {
    Failure.BAD_GATEWAY: HttpAnswer(
        502, (("content-type", "text/html"),), b"<html><body><b>Http/1.1 Bad Gateway</b></body></html>"
    )
}
_NOT_OFFERED: Mapping[Failure, str] = {
    Failure.TOO_LARGE: "no answer of its own to oversized requests is documented",
    Failure.REFUSAL: "it has no field for refusals; a model refuses in plain text",
    Failure.OTHER_MODEL: "its answers do not name the model",
}


class Bedrock(Dialect):
    """Sources: the service model in botocore, `data/bedrock-runtime/2023-09-30` (operations, paths, exceptions and
    their statuses, the events of a stream); "Troubleshooting Amazon Bedrock API error codes" in its user guide. The
    header `x-amzn-ErrorType` with its `:http://internal.amazon.com/...` and the body of one field, `message`:
    aws-samples/amazon-bedrock-client-for-mac#99; there is no Retry-After (epam/ai-dial-adapter-bedrock#371). Texts as
    reported: "Too many tokens" anthropics/claude-code#1466, "Too many requests" lobehub/lobehub#3994, the same by the
    day, "Bedrock is unable to process your request.", and a retired model: as widely matched in client code. The page
    of a front end that is not the service: as botocore's `parsers.py` cites it.
    """

    name = "bedrock"
    provider = "bedrock"
    hosts = ("bedrock-runtime.*.amazonaws.com", "bedrock-runtime-fips.*.amazonaws.com")
    other_model = "amazon.nova-micro-v1:0"
    token_mark = re.compile(rb"contentBlockDelta")
    stream_type = _eventstream.MEDIA_TYPE
    path = re.compile(r"/model/([^/]+)/(converse|converse-stream)")
    problems = _PROBLEMS
    pages = _PAGES
    not_offered = _NOT_OFFERED

    def call(self, method: str, path: str, body: bytes) -> Call | None:
        match = self.path.fullmatch(path.partition("?")[0])
        if method != "POST" or match is None or fields_of(body) is None:
            return None
        return Call(model=unquote(match[1]), stream=match[2].endswith("-stream"))

    def headers(self, call: Call) -> Headers:
        return (("x-amzn-requestid", call.uuid()),)

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        return (("x-amzn-errortype", f"{problem.type}:http://internal.amazon.com/coral/com.amazon.bedrock/"),)

    def error_body(self, problem: Problem, call: Call) -> bytes:
        return compact({"message": problem.message})

    def completion(self, reply: Reply, call: Call) -> bytes:
        message = {"content": [{"text": reply.text}] if reply.tokens else [], "role": "assistant"}
        answer = {"metrics": {"latencyMs": 412}, "output": {"message": message}}
        return compact(answer | {"stopReason": _STOP_REASONS[reply.finish]} | _usage(reply))

    def stream(self, reply: Reply, call: Call) -> StreamParts:
        closing = [
            _event("messageStop", stopReason=_STOP_REASONS[reply.finish]),
            _event("metadata", metrics={"latencyMs": 412}, **_usage(reply)),
        ]
        if reply.tokens:
            closing.insert(0, _event("contentBlockStop", contentBlockIndex=0))
        tokens = (_event("contentBlockDelta", contentBlockIndex=0, delta={"text": token}) for token in reply.tokens)
        return StreamParts((_event("messageStart", role="assistant"),), tuple(tokens), tuple(closing))

    def error_event(self, call: Call, sent: int) -> bytes:
        message = {"message": "The model encountered an unexpected error during processing. Try your request again."}
        return _eventstream.exception("modelStreamErrorException", compact(message))

    def malformed(self, event: bytes) -> bytes:
        return _eventstream.garbled(event)


def _event(kind: str, **fields: object) -> bytes:
    return _eventstream.event(kind, compact(fields))


def _usage(reply: Reply) -> dict[str, Any]:
    if reply.usage is None:
        return {}
    counts = {"inputTokens": reply.usage.prompt, "outputTokens": reply.usage.completion}
    return {"usage": counts | {"totalTokens": reply.usage.total}}


dialect = Bedrock()
