"""The stand-in for a language model: answers with the sentences of its context that overlap the question best.

Deterministic, and honest in the way that matters to an experiment: it can only state what its documents state, so a
wrong document in the prompt gives a provably wrong answer.
"""

import functools
import math
import re
from collections import Counter
from collections.abc import Set as AbstractSet

from target_stack.keyword import tokenize
from target_stack.prompt import PromptDocument

__all__ = ["answer"]

_SENTENCE = re.compile(r"(?<=[.!?])\s+")
_TITLE_WEIGHT = 0.6
"""A sentence says "it" of what the title names, so the title counts, but less than the sentence itself."""

_KNOWN_TEXTS = 4096
"""Documents come up again and again, so what they say is kept in mind."""


@functools.lru_cache(_KNOWN_TEXTS)
def _words(text: str) -> frozenset[str]:
    return frozenset(tokenize(text))


@functools.lru_cache(_KNOWN_TEXTS)
def _sentences(text: str) -> tuple[tuple[str, frozenset[str]], ...]:
    """Return each sentence with its words."""
    return tuple((sentence, frozenset(tokenize(sentence))) for sentence in _SENTENCE.split(text.strip()) if sentence)


def answer(question: str, documents: list[PromptDocument], *, sentences: int) -> str:
    """Return up to `sentences` sentences, each citing its document as `[id]`; a refusal when none fits."""
    if not documents:
        return (
            "I have no documents to answer from. In general, this depends on the organisation and its current rules; "
            "please check with the responsible team before you rely on it."
        )
    asked = set(tokenize(question))
    candidates = [
        (id_, sentence, words & asked, _words(title) & asked)
        for id_, title, text in documents
        for sentence, words in _sentences(text)
    ]
    seen = Counter(word for _, text, title in documents for word in _words(f"{title} {text}") & asked)

    def weight(words: AbstractSet[str]) -> float:
        return sum(math.log(1 + (len(documents) + 1) / (seen[word] + 0.5)) for word in words)

    scored = [
        (weight(inside) + _TITLE_WEIGHT * weight(of_title), place)
        for place, (_, _, inside, of_title) in enumerate(candidates)
        if inside or of_title
    ]
    if not scored:
        return "The documents do not say."
    best = sorted(sorted(scored, key=lambda item: (-item[0], item[1]))[:sentences], key=lambda item: item[1])
    return " ".join(f"{candidates[place][1]} [{candidates[place][0]}]" for _, place in best)
