"""BM25 keyword search, in the gateway's memory and per tenant, so that it works while the vector database is away.

Okapi BM25 with Lucene's non-negative idf, k1 = 1.2 and b = 0.75 (Robertson & Zaragoza, "The Probabilistic Relevance
Framework", 2009). One index per tenant: another tenant's documents are not filtered out, they are not there.
"""

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

from target_stack.documents import Document

__all__ = ["KeywordIndex", "tokenize"]

K1 = 1.2
B = 0.75
_WORD = re.compile(r"[^\W_]+(?:'[^\W_]+)?")
_STOP = frozenset(
    re.findall(
        r"\w+",
        "a an and are as at be but by can do does for from had has have how i if in into is it its me my no "
        "not of on or our she should so that the their them then there these they this to us was we were what "
        "when where which who whom why will with would you your",
    )
)


def tokenize(text: str) -> list[str]:
    """Return the words that carry meaning, in lower case, plurals reduced."""
    return [_singular(word) for word in _WORD.findall(text.lower()) if word not in _STOP]


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith("ss") else word


class _TenantIndex:
    def __init__(self) -> None:
        self.documents: dict[str, Document] = {}
        self.lengths: dict[str, int] = {}
        self.postings: dict[str, dict[str, int]] = defaultdict(dict)
        self.total_length = 0
        # What a word adds to each document's score; it depends on all documents, so it is forgotten with every change.
        self._scores: dict[str, list[tuple[str, float]]] = {}

    def put(self, document: Document) -> None:
        self._scores.clear()
        if known := self.documents.get(document.id):
            self.drop(known)
        words = Counter(_words_of(document))
        self.documents[document.id] = document
        self.lengths[document.id] = words.total()
        self.total_length += words.total()
        for word, count in words.items():
            self.postings[word][document.id] = count

    def drop(self, document: Document) -> None:
        self._scores.clear()
        for word in set(_words_of(document)):
            del self.postings[word][document.id]
        self.total_length -= self.lengths.pop(document.id)
        del self.documents[document.id]

    def search(self, query: str, limit: int) -> list[tuple[float, Document]]:
        """Return the best, each after its score."""
        scores: dict[str, float] = defaultdict(float)
        for word in set(tokenize(query)):
            for id_, score in self._scores_of(word):
                scores[id_] += score
        # Ties are broken by id, so that the same question has the same documents in every process.
        best = sorted(scores, key=lambda id_: (-scores[id_], id_))[:limit]
        return [(scores[id_], self.documents[id_]) for id_ in best]

    def _scores_of(self, word: str) -> list[tuple[str, float]]:
        found = self.postings.get(word)
        if not found:
            return []  # and not kept: questions hold any number of words that no document has
        known = self._scores.get(word)
        if known is None:
            count = len(self.documents)
            idf, mean = math.log(1 + (count - len(found) + 0.5) / (len(found) + 0.5)), self.total_length / count
            known = self._scores[word] = [
                (id_, idf * times * (K1 + 1) / (times + K1 * (1 - B + B * self.lengths[id_] / mean)))
                for id_, times in found.items()
            ]
        return known


def _words_of(document: Document) -> list[str]:
    return tokenize(f"{document.title} {document.text}")


class KeywordIndex:
    """All tenants' indexes."""

    def __init__(self) -> None:
        self._tenants: dict[str, _TenantIndex] = {}

    def put(self, documents: Iterable[Document]) -> None:
        """Add documents; one that is known (same tenant and id) is replaced."""
        for document in documents:
            self._tenants.setdefault(document.tenant, _TenantIndex()).put(document)

    def drop(self, names: Iterable[tuple[str, str]]) -> None:
        """Forget documents, each named by tenant and id; one that is not known is no error."""
        for tenant, id_ in names:
            index = self._tenants.get(tenant)
            if index is not None and (document := index.documents.get(id_)) is not None:
                index.drop(document)

    def search(self, tenant: str | None, query: str, *, limit: int) -> list[Document]:
        """Return the tenant's `limit` best documents that share a word with the query, best first.

        Without a tenant, everybody's: what a stack does that forgets the filter.
        """
        if tenant is not None:
            index = self._tenants.get(tenant)
            return [document for _, document in index.search(query, limit)] if index else []
        found = [hit for index in self._tenants.values() for hit in index.search(query, limit)]
        found.sort(key=lambda hit: (-hit[0], hit[1].id))
        return [document for _, document in found[:limit]]
