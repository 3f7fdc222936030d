"""A question, and what an answer to it is made of."""

from dataclasses import dataclass

import msgspec

from target_stack.deadline import Deadline
from target_stack.failures import StackError
from target_stack.policy import Policy
from target_stack.serving import Serving
from target_stack.tier import Tier
from target_stack.wire import Message

__all__ = ["Begin", "BrokenStreamError", "CachedAnswer", "Finish", "Parts", "Question", "Text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to answer and for whom. `arrived_at` is monotonic, in seconds; `hold` waits for the whole answer."""

    request_id: str
    tenant: str
    tier: Tier
    policy: Policy
    conversation: tuple[Message, ...]
    arrived_at: float
    deadline: Deadline
    hold: bool
    max_tokens: int | None = None
    region: str = ""

    @property
    def query(self) -> str:
        """The last thing that the user said."""
        return next(message.text for message in reversed(self.conversation) if message.role == "user")


@dataclass(frozen=True, slots=True)
class Begin:
    """The answer is certain to begin; the metadata knows all but citations, usage and cost."""

    serving: Serving


class Text(msgspec.Struct, frozen=True):
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is whole."""

    finish_reason: str
    serving: Serving


Parts = list[Begin | Text | Finish]


class BrokenStreamError(Exception):
    """The answer stopped after it had begun; `serving` says what is known of it."""

    def __init__(self, error: StackError, serving: Serving, *, reason: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.serving = serving
        self.reason = reason


class CachedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer from level 0, as it is kept."""

    text: str
    model: str
    provider: str
    citations: tuple[str, ...]
    documents: int
    finish_reason: str
