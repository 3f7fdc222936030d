"""The HTTP bodies: the subset of the OpenAI API that the stack speaks, on both sides of the gateway.

https://platform.openai.com/docs/api-reference/chat and .../embeddings
"""

from typing import Literal

import msgspec

from target_stack.policy import AskedPolicy
from target_stack.serving import Usage

__all__ = [
    "ChatRequest",
    "Chunk",
    "Embedding",
    "EmbeddingRequest",
    "EmbeddingResponse",
    "Message",
    "ProviderRequest",
    "StreamOptions",
    "TextPart",
    "declared_source",
]


class TextPart(msgspec.Struct, frozen=True):
    """One part of a message that comes in parts; only text is understood."""

    text: str
    type: Literal["text"] = "text"


class Message(msgspec.Struct, frozen=True):
    """One message of a conversation."""

    role: Literal["system", "developer", "user", "assistant", "tool"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        """The content as plain text."""
        if isinstance(self.content, list):
            return "\n".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(msgspec.Struct, frozen=True):
    """`include_usage`: add `usage` to the last chunk."""

    include_usage: bool = False


class ChatRequest(msgspec.Struct, frozen=True, kw_only=True):
    """A request to the gateway. `model` is accepted for compatibility: the ladder chooses the model."""

    messages: list[Message]
    model: str = ""
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None
    policy: AskedPolicy = "auto"


class ProviderRequest(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A request to a provider."""

    model: str
    messages: list[Message]
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = None


class Delta(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a chunk adds to the answer."""

    role: str | None = None
    content: str | None = None


class ChunkChoice(msgspec.Struct, frozen=True):
    """The single choice of a chunk."""

    delta: Delta = Delta()
    finish_reason: str | None = None
    index: int = 0


class ErrorBody(msgspec.Struct, frozen=True):
    """The part of an error that is looked at."""

    error_source: str | None = None


class Chunk(msgspec.Struct, frozen=True, kw_only=True):
    """What the gateway reads of a provider's chunk."""

    choices: list[ChunkChoice] = []
    usage: Usage | None = None
    error: ErrorBody | None = None


class EmbeddingRequest(msgspec.Struct, frozen=True):
    """`input` is one text or several."""

    input: str | list[str]
    model: str = ""


class Embedding(msgspec.Struct, frozen=True):
    """One vector, at its text's place in the request."""

    embedding: list[float]
    index: int = 0
    object: str = "embedding"


class EmbeddingResponse(msgspec.Struct, frozen=True):
    """The vectors, in the texts' order."""

    data: list[Embedding]
    model: str = ""
    object: str = "list"


class _ErrorResponse(msgspec.Struct, frozen=True):
    error: ErrorBody = ErrorBody()


def declared_source(body: bytes) -> str | None:
    """Return the `error_source` that an error response states, None when it states none."""
    try:
        return msgspec.json.decode(body, type=_ErrorResponse).error.error_source
    except msgspec.MsgspecError:
        return None
