"""Keys of cached records. The tenant is not in the hash: `JsonCache` puts it in front of every key."""

import hashlib
from collections.abc import Sequence

import msgspec

from target_stack.wire import Message

__all__ = ["conversation_key", "exact_key", "retrieval_key"]


def retrieval_key(query: str) -> str:
    """Return the key of a query's documents."""
    return _digest(query)


def conversation_key(conversation: Sequence[Message], *, max_tokens: int | None) -> str:
    """Return the key of the last answer to this query in this context, whatever documents it was made from."""
    return _digest([(message.role, message.text) for message in conversation], max_tokens)


def exact_key(conversation: Sequence[Message], *, max_tokens: int | None, fingerprint: str, model: str) -> str:
    """Return the key of the answer to this query and context over exactly these documents."""
    return _digest(conversation_key(conversation, max_tokens=max_tokens), fingerprint, model)


def _digest(*parts: object) -> str:
    # JSON keeps the parts apart: joined text could be cut elsewhere and mean another key.
    return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()
