"""The events of one streamed answer. What is the same in all of them is encoded once."""

import msgspec

from target_stack.sse import encode

__all__ = ["Chunks"]

_TEXT = "\0"


class Chunks:
    """Of one answer: `id_` and `model` as its chunks name them, `created` in seconds since 1970."""

    def __init__(self, id_: str, model: str, created: int) -> None:
        self._envelope = {"id": id_, "object": "chat.completion.chunk", "created": created, "model": model}
        # From the right: a name may be anything, and stands before the text.
        self._before, _, self._after = self._chunk({"content": _TEXT}).rpartition(msgspec.json.encode(_TEXT))

    def text(self, piece: str) -> bytes:
        """Return the chunk that adds a piece of text."""
        return self._before + msgspec.json.encode(piece) + self._after

    def role(self) -> bytes:
        """Return the first chunk, which says who speaks."""
        return self._chunk({"role": "assistant", "content": ""})

    def end(self, finish_reason: str, **extra: object) -> bytes:
        """Return the chunk that says why the answer ends; `extra` are fields beside the usual ones."""
        return self._chunk({}, finish_reason=finish_reason, **extra)

    def usage(self, usage: dict[str, int], **extra: object) -> bytes:
        """Return the chunk without choices that tells the usage."""
        return encode(msgspec.json.encode({**self._envelope, "choices": [], "usage": usage, **extra}))

    def _chunk(self, delta: dict[str, str], *, finish_reason: str | None = None, **extra: object) -> bytes:
        choice = {"index": 0, "delta": delta, "finish_reason": finish_reason}
        return encode(msgspec.json.encode({**self._envelope, "choices": [choice], **extra}))
