"""Whether an answer says what the documents say that it cites. Deterministic: no model judges another.

A judge of another kind (a model, a rule of the user's) is any `Grader`; the answer's text is seen by it alone and kept
by nobody.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

from brownout.target import Document, Question

_IDS = re.compile(r"(?:\[[^\[\]\s]+\]\s*)+")
_ID = re.compile(r"\[([^\[\]\s]+)\]")
_BRACKET = re.compile(r"[\[\]]")
_SENTENCE_END = re.compile(r"(?<=[.!?])\s+")


@dataclass(frozen=True, slots=True)
class Grade:
    """What became of the statements for which an answer cites a document, or of the facts that are expected of it."""

    claims: int
    supported: int
    """Those of them that a cited document makes, or that the answer states."""


class Grader(Protocol):
    """Grades a complete answer. Runs on the event loop on which the load is timed: a millisecond is long."""

    def __call__(self, question: Question, answer: str) -> Grade: ...


class CitedSentences:
    """A statement is the sentence before its citation, `A fact. [id]`; a document makes it where it stands there word
    for word, case and spacing aside. The document must be one of the tenant who asks.
    """

    def __init__(self, documents: Iterable[Document]) -> None:
        self._texts = {(document.tenant, document.id): _plain(document.text) for document in documents}

    def learn(self, document: Document) -> None:
        """One more document that answers may cite."""
        self._texts[document.tenant, document.id] = _plain(document.text)

    def __call__(self, question: Question, answer: str) -> Grade:
        claims = supported = 0
        end = 0
        for ids in _IDS.finditer(answer):
            said, end = answer[end : ids.start()], ids.end()
            sentence = _plain(_SENTENCE_END.split(_BRACKET.split(said)[-1].strip())[-1])
            if not sentence:
                continue
            claims += 1
            texts = [self._texts.get((question.tenant, id_), "") for id_ in _ID.findall(ids[0])]
            supported += any(sentence in text for text in texts)
        return Grade(claims, supported)


class ExpectedFacts:
    """Of the facts that a question names, an answer's are those that stand in it word for word, case and spacing aside.

    For systems whose documents nobody knows.
    """

    def __call__(self, question: Question, answer: str) -> Grade:
        said = _plain(answer)
        return Grade(len(question.facts), sum(_plain(fact) in said for fact in question.facts))


def _plain(text: str) -> str:
    return " ".join(text.casefold().split()).strip(" .!?")
