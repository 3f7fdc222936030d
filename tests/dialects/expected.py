"""What a caller of each provider's own client library sees of each failure: an exception's name, or an answer.

Names are those of the class raised, with the library's top package; `httpx` stands for `httpx2` too, to which some of
the libraries have moved.
"""

from dataclasses import dataclass

from brownout.dialect import Dialect, Failure, installed_dialects
from tests.dialects.clients import Seen

HALF = "Brownout answers in"
WHOLE = "Brownout answers in place of the provider."
REFUSED = "I can't help with that."


@dataclass(frozen=True, kw_only=True)
class Sees:
    """What is seen; a field that is not given may be anything."""

    text: str | None = None
    finish: str | None = None
    model: str | None = None
    usage: tuple[int, int] | str | None = None
    refusal: str | None = None
    event: str | None = None
    """One of the events seen."""
    incomplete: bool = False
    """No way to finish was told."""


Expected = str | Sees
Table = dict[Failure, Expected]

F = Failure
_OPENAI_STATUS: Table = {
    F.RATE_LIMITED_REQUESTS: "openai.RateLimitError",
    F.RATE_LIMITED_TOKENS: "openai.RateLimitError",
    F.QUOTA_EXHAUSTED: "openai.RateLimitError",
    F.OVERLOADED: "openai.InternalServerError",
    F.SERVER_ERROR: "openai.InternalServerError",
    F.BAD_GATEWAY: "openai.InternalServerError",
    F.GATEWAY_TIMEOUT: "openai.InternalServerError",
    F.EXPIRED_KEY: "openai.AuthenticationError",
    F.FORBIDDEN: "openai.PermissionDeniedError",
    F.MODEL_RETIRED: "openai.NotFoundError",
    F.CONTEXT_LENGTH_EXCEEDED: "openai.BadRequestError",
    F.TOO_LARGE: "openai.APIStatusError",
}
_BEDROCK_STATUS: Table = {
    F.RATE_LIMITED_REQUESTS: "botocore.ThrottlingException",
    F.RATE_LIMITED_TOKENS: "botocore.ThrottlingException",
    F.QUOTA_EXHAUSTED: "botocore.ThrottlingException",
    F.OVERLOADED: "botocore.ServiceUnavailableException",
    F.SERVER_ERROR: "botocore.InternalServerException",
    F.BAD_GATEWAY: "botocore.ClientError",
    F.GATEWAY_TIMEOUT: "botocore.ModelTimeoutException",
    # The model of the service does not know it, so that it has no class of its own.
    F.EXPIRED_KEY: "botocore.ClientError",
    F.FORBIDDEN: "botocore.AccessDeniedException",
    F.MODEL_RETIRED: "botocore.ResourceNotFoundException",
    F.CONTEXT_LENGTH_EXCEEDED: "botocore.ValidationException",
}
ERRORS: dict[str, Table] = {
    "openai_chat": _OPENAI_STATUS,
    "openai_responses": _OPENAI_STATUS,
    "azure_openai": {failure: name for failure, name in _OPENAI_STATUS.items() if failure is not F.QUOTA_EXHAUSTED}
    | {
        F.OVERLOADED: "openai.RateLimitError",
        F.GATEWAY_TIMEOUT: "openai.APIStatusError",
        F.CONTENT_FILTER: "openai.BadRequestError",
    },
    "vllm": _OPENAI_STATUS,
    "anthropic": {
        F.RATE_LIMITED_REQUESTS: "anthropic.RateLimitError",
        F.RATE_LIMITED_TOKENS: "anthropic.RateLimitError",
        F.QUOTA_EXHAUSTED: "anthropic.EnforcedSpendLimitReachedError",
        F.OVERLOADED: "anthropic.OverloadedError",
        F.SERVER_ERROR: "anthropic.InternalServerError",
        F.BAD_GATEWAY: "anthropic.InternalServerError",
        F.GATEWAY_TIMEOUT: "anthropic.GatewayTimeoutError",
        F.EXPIRED_KEY: "anthropic.AuthenticationError",
        F.FORBIDDEN: "anthropic.PermissionDeniedError",
        F.MODEL_RETIRED: "anthropic.NotFoundError",
        F.CONTEXT_LENGTH_EXCEEDED: "anthropic.BadRequestError",
        F.TOO_LARGE: "anthropic.ContentTooLargeError",
        F.CONTENT_FILTER: "anthropic.BadRequestError",
    },
    "gemini": {
        F.RATE_LIMITED_REQUESTS: "google.ClientError",
        F.RATE_LIMITED_TOKENS: "google.ClientError",
        F.QUOTA_EXHAUSTED: "google.ClientError",
        F.OVERLOADED: "google.ServerError",
        F.SERVER_ERROR: "google.ServerError",
        F.BAD_GATEWAY: "google.ServerError",
        F.GATEWAY_TIMEOUT: "google.ServerError",
        F.EXPIRED_KEY: "google.ClientError",
        F.FORBIDDEN: "google.ClientError",
        F.MODEL_RETIRED: "google.ClientError",
        F.CONTEXT_LENGTH_EXCEEDED: "google.ClientError",
        F.TOO_LARGE: "google.ClientError",
    },
    "cohere": {
        F.RATE_LIMITED_REQUESTS: "cohere.TooManyRequestsError",
        F.RATE_LIMITED_TOKENS: "cohere.TooManyRequestsError",
        F.QUOTA_EXHAUSTED: "cohere.ApiError",
        F.OVERLOADED: "cohere.ServiceUnavailableError",
        F.SERVER_ERROR: "cohere.InternalServerError",
        F.GATEWAY_TIMEOUT: "cohere.GatewayTimeoutError",
        F.EXPIRED_KEY: "cohere.UnauthorizedError",
        F.FORBIDDEN: "cohere.ForbiddenError",
        F.MODEL_RETIRED: "cohere.NotFoundError",
        F.CONTEXT_LENGTH_EXCEEDED: "cohere.BadRequestError",
        F.CONTENT_FILTER: "cohere.InvalidTokenError",
    },
    "ollama": {
        F.OVERLOADED: "ollama.ResponseError",
        F.SERVER_ERROR: "ollama.ResponseError",
        F.MODEL_RETIRED: "ollama.ResponseError",
    },
    "bedrock": _BEDROCK_STATUS,
    "bedrock_invoke": _BEDROCK_STATUS | {F.QUOTA_EXHAUSTED: "botocore.ServiceQuotaExceededException"},
}
"""Errors before the answer: the same whether a stream was asked for or not."""


@dataclass(frozen=True, kw_only=True)
class Words:
    """A provider's words for how an answer finished."""

    stop: str
    length: str
    refusal: str = ""
    filtered: str = ""


WORDS = {
    "openai_chat": Words(stop="stop", length="length", refusal="stop", filtered="content_filter"),
    "openai_responses": Words(
        stop="completed", length="max_output_tokens", refusal="completed", filtered="content_filter"
    ),
    "azure_openai": Words(stop="stop", length="length", refusal="stop"),
    "vllm": Words(stop="stop", length="length"),
    "anthropic": Words(stop="end_turn", length="max_tokens", refusal="refusal"),
    "gemini": Words(stop="STOP", length="MAX_TOKENS", filtered="PROHIBITED_CONTENT"),
    "cohere": Words(stop="COMPLETE", length="MAX_TOKENS"),
    "ollama": Words(stop="stop", length="length"),
    "bedrock": Words(stop="end_turn", length="max_tokens", filtered="content_filtered"),
    "bedrock_invoke": Words(stop="end_turn", length="max_tokens", refusal="refusal"),
}


def replies(dialect: str, other_model: str) -> Table:
    """Well-formed answers that are not what was asked for: the same whole and streamed."""
    words = WORDS[dialect]
    # Anthropic has a way to finish for it; OpenAI has a field for what was said instead.
    refused = Sees(refusal=REFUSED) if words.refusal == words.stop else Sees(finish=words.refusal, text=REFUSED)
    return {
        F.CONTENT_FILTER: Sees(finish=words.filtered),
        F.REFUSAL: refused,
        F.EMPTY_COMPLETION: Sees(text="", finish=words.stop, usage=(12, 0)),
        F.FINISH_LENGTH: Sees(text=HALF, finish=words.length, usage=(12, 4)),
        F.OTHER_MODEL: Sees(text=WHOLE, model=other_model),
        F.USAGE_MISSING: Sees(text=WHOLE, usage="missing"),
        F.USAGE_INFLATED: Sees(text=WHOLE, usage=(1200, 900)),
    }


_OPENAI_BODY: Table = {
    # The client hands out the decoder's own error, and an HTML page as plain text.
    F.MALFORMED_JSON: "json.JSONDecodeError",
    F.WRONG_CONTENT_TYPE: "builtins.AttributeError",
    F.TRUNCATED_BODY: "openai.APIConnectionError",
}
BODIES: dict[str, Table] = {
    "openai_chat": _OPENAI_BODY,
    "openai_responses": _OPENAI_BODY,
    "azure_openai": _OPENAI_BODY,
    "vllm": _OPENAI_BODY,
    "anthropic": _OPENAI_BODY | {F.TRUNCATED_BODY: "anthropic.APIConnectionError"},
    "gemini": {
        F.MALFORMED_JSON: "json.JSONDecodeError",
        F.WRONG_CONTENT_TYPE: "json.JSONDecodeError",
        F.TRUNCATED_BODY: "httpx.RemoteProtocolError",
    },
    "cohere": {
        F.MALFORMED_JSON: "cohere.ApiError",
        F.WRONG_CONTENT_TYPE: "cohere.ApiError",
        F.TRUNCATED_BODY: "httpx.RemoteProtocolError",
    },
    "ollama": {
        F.MALFORMED_JSON: "json.JSONDecodeError",
        F.WRONG_CONTENT_TYPE: "json.JSONDecodeError",
        F.TRUNCATED_BODY: "httpx.RemoteProtocolError",
    },
    # The client takes what is no JSON for an answer without fields.
    "bedrock": {
        F.MALFORMED_JSON: "builtins.KeyError",
        F.WRONG_CONTENT_TYPE: "builtins.KeyError",
        F.TRUNCATED_BODY: "builtins.KeyError",
    },
    "bedrock_invoke": {
        F.MALFORMED_JSON: "json.JSONDecodeError",
        F.WRONG_CONTENT_TYPE: "json.JSONDecodeError",
        F.TRUNCATED_BODY: "botocore.ResponseStreamingError",
    },
}

BROKEN = (F.STALL, F.DISCONNECT, F.ERROR_EVENT, F.MALFORMED_EVENT)
"""Streams that break after three tokens, all of which the caller has got."""
_OPENAI_STREAM: Table = {
    # Nothing but an HTML page: no event, no error, an answer without a word.
    F.WRONG_CONTENT_TYPE: Sees(text="", incomplete=True),
    F.STALL: "openai.APITimeoutError",
    F.DISCONNECT: "openai.APIConnectionError",
    F.ERROR_EVENT: "openai.APIError",
    F.MALFORMED_EVENT: "json.JSONDecodeError",
}
_BEDROCK_STREAM: Table = {
    F.WRONG_CONTENT_TYPE: "botocore.ChecksumMismatch",
    F.STALL: "urllib3.ReadTimeoutError",
    F.DISCONNECT: "urllib3.ProtocolError",
    F.ERROR_EVENT: "botocore.EventStreamError",
    F.MALFORMED_EVENT: "botocore.ChecksumMismatch",
}
STREAMS: dict[str, Table] = {
    "openai_chat": _OPENAI_STREAM,
    "openai_responses": _OPENAI_STREAM | {F.ERROR_EVENT: Sees(event="error", incomplete=True)},
    "azure_openai": _OPENAI_STREAM,
    "vllm": _OPENAI_STREAM,
    "anthropic": {
        F.WRONG_CONTENT_TYPE: Sees(text="", incomplete=True),
        F.STALL: "httpx.ReadTimeout",
        F.DISCONNECT: "httpx.RemoteProtocolError",
        # Its status was 200, so that no narrower class fits.
        F.ERROR_EVENT: "anthropic.APIStatusError",
        F.MALFORMED_EVENT: "json.JSONDecodeError",
    },
    "gemini": {
        F.WRONG_CONTENT_TYPE: "google.UnknownApiResponseError",
        F.STALL: "httpx.ReadTimeout",
        F.DISCONNECT: "httpx.RemoteProtocolError",
        F.ERROR_EVENT: "google.ServerError",
        F.MALFORMED_EVENT: "google.UnknownApiResponseError",
    },
    "cohere": {
        F.WRONG_CONTENT_TYPE: "cohere.SSEError",
        F.STALL: "httpx.ReadTimeout",
        F.DISCONNECT: "httpx.RemoteProtocolError",
        F.ERROR_EVENT: Sees(finish="ERROR"),
        # The client logs it and leaves the token out.
        F.MALFORMED_EVENT: Sees(text=WHOLE.replace(" in", "", 1), finish="COMPLETE"),
    },
    "ollama": {
        F.WRONG_CONTENT_TYPE: "json.JSONDecodeError",
        F.STALL: "httpx.ReadTimeout",
        F.DISCONNECT: "httpx.RemoteProtocolError",
        F.ERROR_EVENT: "ollama.ResponseError",
        F.MALFORMED_EVENT: "json.JSONDecodeError",
    },
    "bedrock": _BEDROCK_STREAM,
    "bedrock_invoke": _BEDROCK_STREAM,
}


def streams(dialect: str) -> Table:
    """Streams gone wrong."""
    stop = WORDS[dialect].stop
    return STREAMS[dialect] | {
        F.SLOW_FIRST_TOKEN: Sees(text=WHOLE, finish=stop),
        F.SLOW_TOKENS: Sees(text=WHOLE, finish=stop),
        F.MISSING_TERMINATOR: Sees(text=WHOLE, incomplete=True),
        F.DUPLICATED_CHUNKS: Sees(text=WHOLE.replace(" in", " in in", 1), finish=stop),
        F.REORDERED_CHUNKS: Sees(text=WHOLE.replace(" in place", " place in", 1), finish=stop),
        F.ONE_GIANT_CHUNK: Sees(text=WHOLE, finish=stop),
    }


def name_of(error: BaseException) -> str:
    kind = type(error)
    library = kind.__module__.partition(".")[0].replace("httpx2", "httpx")
    return f"{library}.{kind.__name__}"


def check(seen: Seen, wanted: Expected) -> None:
    if isinstance(wanted, str):
        assert seen.error is not None, f"nothing was raised; seen: {seen}"
        assert name_of(seen.error) == wanted
        return
    if seen.error is not None:
        raise seen.error
    assert not wanted.incomplete or seen.finish is None
    assert wanted.event is None or wanted.event in seen.events
    assert wanted.usage != "missing" or seen.usage is None
    for field in ("text", "finish", "model", "usage", "refusal"):
        value = getattr(wanted, field)
        assert value in (None, "missing") or getattr(seen, field) == value, field


def cases(of: str) -> list[tuple[str, Failure, Expected]]:
    """(dialect, failure, expected) of one of the tables, for what the dialect offers."""

    def table(name: str, dialect: Dialect) -> Table:
        match of:
            case "errors":
                return ERRORS[name]
            case "replies":
                errors = ERRORS[name]
                every = replies(name, dialect.other_model)
                return {failure: wanted for failure, wanted in every.items() if failure not in errors}
            case "bodies":
                return BODIES[name]
            case _:
                return streams(name)

    return [
        (name, failure, wanted)
        for name, dialect in sorted(installed_dialects().items())
        for failure, wanted in table(name, dialect).items()
        if dialect.offers(failure)
    ]
