"""Keys of cached records. The tenant is not in the hash: the caches put it in front of every key."""

import hashlib
from collections.abc import Sequence

import msgspec

from target_stack.wire import Message

__all__ = ["context_key", "conversation_key", "exact_key", "retrieval_key"]


def retrieval_key(query: str) -> str:
    """Return the key of a query's documents."""
    return _digest(query)


def conversation_key(conversation: Sequence[Message], *, max_tokens: int | None) -> str:
    """Return the key of the last answer to this query in this context, whatever documents it was made from."""
    return _digest([(message.role, message.text) for message in conversation], max_tokens)


def exact_key(conversation: Sequence[Message], *, max_tokens: int | None, fingerprint: str, model: str) -> str:
    """Return the key of the answer to this query and context over exactly these documents."""
    return _digest(conversation_key(conversation, max_tokens=max_tokens), fingerprint, model)


def context_key(conversation: Sequence[Message], *, intent: str, max_tokens: int | None, model: str) -> str:
    """Return the key of questions of one intent in this context, which is all that was said but the question itself."""
    asked = max(place for place, message in enumerate(conversation) if message.role == "user")
    context = [(message.role, message.text) for place, message in enumerate(conversation) if place != asked]
    return _digest("context", context, intent, max_tokens, model)


def _digest(*parts: object) -> str:
    # JSON keeps the parts apart: joined text could be cut elsewhere and mean another key.
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
