"""One answer of the extractive model, cut into tokens, in the shapes of the OpenAI API. Of providers and of workers."""

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from target_stack.chunks import Chunks
from target_stack.extractive import answer
from target_stack.prompt import documents_in
from target_stack.sse import DONE, encode
from target_stack.wire import Message, ProviderRequest

__all__ = ["ChatCompletion", "complete", "count_tokens", "digest_of"]

SMALL_MODEL_SENTENCES = 1
MAIN_MODEL_SENTENCES = 4

_PIECE = re.compile(r"\s*\S+")


def count_tokens(messages: Sequence[Message]) -> int:
    """Return the length of a prompt: a token is a word here."""
    return sum(len(message.text.split()) for message in messages)


def complete(
    asked: ProviderRequest, *, small_model: str, digest: str, created: int, room: int | None = None
) -> "ChatCompletion":
    """Return the whole answer, which is the same for the same request.

    `created` is in seconds since 1970; `room` is how many tokens the model's context has left for the answer.
    """
    question = next((m.text for m in reversed(asked.messages) if m.role == "user"), "")
    sentences = SMALL_MODEL_SENTENCES if asked.model == small_model else MAIN_MODEL_SENTENCES
    pieces = _PIECE.findall(answer(question, documents_in(asked.messages), sentences=sentences))
    limit = min(limit for limit in (asked.max_tokens, room, len(pieces)) if limit is not None)
    return ChatCompletion(
        id_=f"chatcmpl-{digest[:24]}",
        model=asked.model,
        created=created,
        pieces=pieces[:limit],
        finish_reason="length" if limit < len(pieces) else "stop",
        prompt_tokens=count_tokens(asked.messages),
    )


def digest_of(body: bytes) -> str:
    """Return what tells one request from another, in hexadecimal digits."""
    return hashlib.sha256(body).hexdigest()


@dataclass(frozen=True, slots=True, kw_only=True)
class ChatCompletion:
    """The answer, and its chunks."""

    id_: str
    model: str
    created: int
    pieces: list[str]
    finish_reason: str
    prompt_tokens: int

    def _usage(self) -> dict[str, int]:
        completion = len(self.pieces)
        total = self.prompt_tokens + completion
        return {"prompt_tokens": self.prompt_tokens, "completion_tokens": completion, "total_tokens": total}

    def chunks(self) -> Chunks:
        """Return what makes the events of a stream of it."""
        return Chunks(self.id_, self.model, self.created)

    def end(self, chunks: Chunks, *, include_usage: bool) -> bytes:
        """Return the last events of a stream."""
        usage = chunks.usage(self._usage()) if include_usage else b""
        return chunks.end(self.finish_reason) + usage + encode(DONE)

    def whole(self) -> bytes:
        """Return the body of an answer in one piece."""
        message = {"role": "assistant", "content": "".join(self.pieces)}
        choices = [{"index": 0, "message": message, "finish_reason": self.finish_reason}]
        envelope = {"id": self.id_, "object": "chat.completion", "created": self.created, "model": self.model}
        return msgspec.json.encode({**envelope, "choices": choices, "usage": self._usage()})
