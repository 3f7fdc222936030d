"""Which model a question is put to first, by how urgent it is and how hard it looks. Pure decisions, no I/O.

A rough estimate is enough: whichever model was chosen, the other one stands in for it.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from target_stack.settings import Settings
from target_stack.wire import Message

__all__ = ["Router", "complexity_of"]

LONG_WORDS = 16
"""Half as many again as a plain lookup has, which are about ten."""
LONG_CONVERSATION = 4
"""Messages, from which on a question is likely to mean what was said before."""
_WORD = re.compile(r"\w+")
_REASONING = re.compile(
    r"\b(analy[sz]e|better|cheaper|compar\w+|differ\w*|evaluate|explain|order|plan|procedure|steps|summari[sz]e|than|versus"
    r"|vs|why|worse)\b",
    re.IGNORECASE,
)
_JOINING = frozenset(("and", "or", "but", "if", "unless", "before", "after"))


def complexity_of(conversation: Sequence[Message]) -> int:
    """Return how many signs there are that the last question is hard: 0 for a plain lookup, at most 4.

    Signs: it is long; it asks for reasons, steps or a comparison; it has several parts; much was said before.
    """
    question = next(message.text for message in reversed(conversation) if message.role == "user")
    words = _WORD.findall(question.lower())
    signs = (
        len(words) > LONG_WORDS,
        _REASONING.search(question) is not None,
        question.count("?") > 1 or not _JOINING.isdisjoint(words),
        len(conversation) >= LONG_CONVERSATION,
    )
    return sum(signs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Router:
    """`urgent` is in seconds: who waits no longer than that is in a hurry."""

    enabled: bool
    urgent: float
    simple: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "Router":
        """As the operator has configured it."""
        return cls(
            enabled=settings.switch("router"),
            urgent=settings.number("router.urgent"),
            simple=settings.integer("router.simple"),
        )

    def prefers_fast(self, conversation: Sequence[Message], *, patience: float) -> bool:
        """Return whether the fast model is asked first: of a simple question whose caller waits `patience` seconds."""
        return self.enabled and patience <= self.urgent and complexity_of(conversation) <= self.simple
