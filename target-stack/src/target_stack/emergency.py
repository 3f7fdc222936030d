"""The emergency answer: what can honestly be said with every dependency dead, out of the gateway's own memory."""

import re
from collections.abc import Sequence

from target_stack.documents import Document

__all__ = ["DOCUMENTS", "NO_MODEL", "OURSELVES", "emergency_answer"]

DOCUMENTS = 3
NO_MODEL = "none"
OURSELVES = "gateway"
EXCERPT_CHARS = 300

_HEAD = "The assistant is in emergency mode: no model was asked, and nothing below was written for your question."
_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def emergency_answer(documents: Sequence[Document]) -> str:
    """Return a text that quotes the beginning of each document, or says that there is none."""
    if not documents:
        return f"{_HEAD} No document matches it by its words. Please try again later."
    quotes = [f'- {document.title}: "{_excerpt(document.text)}" [{document.id}]' for document in documents]
    return "\n".join([f"{_HEAD} These documents match it by their words:", *quotes])


def _excerpt(text: str) -> str:
    """Return as many whole sentences as fit, at least a part of the first."""
    kept = ""
    for sentence in _SENTENCE.split(text.strip()):
        if kept and len(kept) + len(sentence) >= EXCERPT_CHARS:
            break
        kept = f"{kept} {sentence}".strip()
    return kept[:EXCERPT_CHARS]
