"""How documents are put before a model, and how they are found again in its answer. Both sides of the wire agree here.

A document is `<document id="ID" title="TITLE">TEXT</document>`; an answer cites it as `[ID]`.
"""

import re
from collections.abc import Iterable, Sequence
from html import escape, unescape

from target_stack.documents import Document
from target_stack.wire import Message

__all__ = ["PromptDocument", "cited", "documents_in", "messages_for", "tokens_of"]

_WITH_DOCUMENTS = (
    "Answer the question from the documents below and cite each document you use as [id]. "
    "When they do not hold the answer, say so.\n\n"
)
_WITHOUT_DOCUMENTS = (
    "No documents are available. Answer from general knowledge and be plain about what you do not know."
)
_DOCUMENT = re.compile(r'<document id="([^"]*)" title="([^"]*)">(.*?)</document>', re.DOTALL)
_CITATION = re.compile(r"\[([^\[\]\s]+)\]")

PromptDocument = tuple[str, str, str]
"""Id, title and text."""


def messages_for(conversation: Sequence[Message], documents: Iterable[Document]) -> list[Message]:
    """Return the conversation with a system message before it that holds the documents, in their order."""
    parts = [_put(document) for document in documents]
    content = _WITH_DOCUMENTS + "\n".join(parts) if parts else _WITHOUT_DOCUMENTS
    return [Message(role="system", content=content), *conversation]


def tokens_of(document: Document) -> int:
    """Return how many tokens a document is in a prompt: a token is a word here."""
    return len(_put(document).split())


def _put(document: Document) -> str:
    id_, title, text = escape(document.id), escape(document.title), escape(document.text, quote=False)
    return f'<document id="{id_}" title="{title}">{text}</document>'


def documents_in(messages: Sequence[Message]) -> list[PromptDocument]:
    """Return the documents that system messages hold. A user who writes a document tag adds none."""
    return [
        (unescape(id_), unescape(title), unescape(text))
        for message in messages
        if message.role == "system"
        for id_, title, text in _DOCUMENT.findall(message.text)
    ]


def cited(answer: str, documents: Iterable[Document]) -> tuple[str, ...]:
    """Return the ids that the answer cites, in its order; what was not in the prompt is no citation."""
    known = {document.id for document in documents}
    return tuple(dict.fromkeys(id_ for id_ in _CITATION.findall(answer) if id_ in known))
