"""The failures that a dialect may know, and how severe they are."""

from dataclasses import dataclass
from enum import StrEnum

from brownout.errors import InvalidInput


class Failure(StrEnum):
    """What goes wrong at the provider. A dialect offers those that its provider really has."""

    RATE_LIMITED_REQUESTS = "rate_limited_requests"
    """Too many requests in a minute; the provider says when to come back, in its own way."""
    RATE_LIMITED_TOKENS = "rate_limited_tokens"
    """Too many tokens in a minute; as above."""
    QUOTA_EXHAUSTED = "quota_exhausted"
    """The money, or the allowance of the month or day, is spent: nothing says when to come back."""
    OVERLOADED = "overloaded"
    """The provider has no capacity for anybody."""
    SERVER_ERROR = "server_error"
    BAD_GATEWAY = "bad_gateway"
    """502, with an HTML page of the edge in front of the provider."""
    GATEWAY_TIMEOUT = "gateway_timeout"
    """The provider, or its edge, gave up waiting for the model."""
    EXPIRED_KEY = "expired_key"
    FORBIDDEN = "forbidden"
    MODEL_RETIRED = "model_retired"
    CONTEXT_LENGTH_EXCEEDED = "context_length_exceeded"
    TOO_LARGE = "too_large"
    """The request has too many bytes."""
    CONTENT_FILTER = "content_filter"
    """A filter of the provider stopped it: as an error, or as a way to finish."""
    REFUSAL = "refusal"
    """The model declined, and the answer says so in a field of its own."""

    EMPTY_COMPLETION = "empty_completion"
    """200, and no text."""
    FINISH_LENGTH = "finish_length"
    """The answer stops half-way, because the token limit was reached."""
    OTHER_MODEL = "other_model"
    """Answered by another model than was asked for."""
    USAGE_MISSING = "usage_missing"
    USAGE_INFLATED = "usage_inflated"
    """Token counts many times what was used: a cost spike."""

    MALFORMED_JSON = "malformed_json"
    """A body that is complete as HTTP goes, and breaks off as JSON."""
    WRONG_CONTENT_TYPE = "wrong_content_type"
    """200 with an HTML page, as a captive portal or a maintenance page answers."""
    TRUNCATED_BODY = "truncated_body"
    """The connection closes before the declared length has arrived."""

    SLOW_FIRST_TOKEN = "slow_first_token"  # noqa: S105 - a token of text
    SLOW_TOKENS = "slow_tokens"
    STALL = "stall"
    """The stream falls silent after some tokens, and the connection stays open."""
    DISCONNECT = "disconnect"
    """The connection is closed after some tokens."""
    ERROR_EVENT = "error_event"
    """The stream turns into an error after some tokens, in the provider's own way; the status remains 200."""
    MALFORMED_EVENT = "malformed_event"
    """One event is garbled; those before and after it are well."""
    MISSING_TERMINATOR = "missing_terminator"
    """The stream ends well as HTTP goes, and without the events that mark a complete answer."""
    DUPLICATED_CHUNKS = "duplicated_chunks"
    """One token arrives twice."""
    REORDERED_CHUNKS = "reordered_chunks"
    """Two tokens arrive in each other's place."""
    ONE_GIANT_CHUNK = "one_giant_chunk"
    """A buffering proxy in between: nothing for a while, then everything at once."""


REPLY_FAILURES = frozenset(
    {
        Failure.CONTENT_FILTER,
        Failure.REFUSAL,
        Failure.EMPTY_COMPLETION,
        Failure.FINISH_LENGTH,
        Failure.OTHER_MODEL,
        Failure.USAGE_MISSING,
        Failure.USAGE_INFLATED,
    }
)
"""A well-formed answer that is not what was asked for, whole or streamed. A filter may be an error instead."""
BODY_FAILURES = frozenset({Failure.MALFORMED_JSON, Failure.TRUNCATED_BODY})
"""They break a whole body: a streamed answer has counterparts of its own."""
STREAM_FAILURES = frozenset(
    {
        Failure.SLOW_FIRST_TOKEN,
        Failure.SLOW_TOKENS,
        Failure.STALL,
        Failure.DISCONNECT,
        Failure.ERROR_EVENT,
        Failure.MALFORMED_EVENT,
        Failure.MISSING_TERMINATOR,
        Failure.DUPLICATED_CHUNKS,
        Failure.REORDERED_CHUNKS,
        Failure.ONE_GIANT_CHUNK,
    }
)
"""They break a streamed answer, and a whole one not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How severe a failure is. Each failure reads what concerns it."""

    retry_after: float = 20.0
    """Seconds until the provider wants to be asked again; whole seconds where the provider counts so."""
    after: int = 3
    """Tokens that arrive before a stream goes wrong."""
    delay: float = 30.0
    """Seconds of silence before the first token, or before one giant chunk."""
    gap: float = 2.0
    """Seconds between slow tokens."""
    factor: int = 100
    """How many times too high inflated usage is."""
    model: str | None = None
    """The model that answers in place of the one asked for; without it, one of the provider's smaller ones."""

    def __post_init__(self) -> None:
        for name in ("retry_after", "delay", "gap"):
            if not 0 <= getattr(self, name) <= 86400:
                raise InvalidInput(f"{name} must be between 0 and 86400 seconds, not {getattr(self, name)}")
        if not 0 <= self.after <= 10_000:
            raise InvalidInput(f"after must be between 0 and 10000 tokens, not {self.after}")
        if not 2 <= self.factor <= 1_000_000:
            raise InvalidInput(f"factor must be between 2 and 1000000, not {self.factor}")
