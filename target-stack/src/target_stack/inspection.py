"""Whether a document's vector can be what its text embeds to. What it cannot be is corrupt: such documents go into
quarantine.

A vector that was met before and has not changed is sound. Any other must have as many dimensions as all, finite ones,
and the length of 1; it must be near the one that the same text had before, where that is known; and not far from the
mean of the other documents of its topic, where there are some.
"""

import math
from array import array
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from operator import add, mul, sub

from target_stack.documents import Document, fingerprint_of
from target_stack.settings import Settings
from target_stack.tombstones import Name

__all__ = ["Bounds", "Flaw", "Inspector"]


class Flaw(StrEnum):
    """What is wrong with a vector."""

    DIMENSIONS = "dimensions"
    NOT_FINITE = "not-finite"
    NORM = "norm"
    TEXT = "text"
    TOPIC = "topic"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What a sound vector keeps to. The similarities are cosines; `topic_size` documents make a topic's mean."""

    dimensions: int
    norm_tolerance: float
    text_similarity: float
    topic_similarity: float
    topic_size: int

    @classmethod
    def from_settings(cls, settings: Settings, *, dimensions: int) -> "Bounds":
        """Read them from the settings."""
        return cls(
            dimensions=dimensions,
            norm_tolerance=settings.number("quarantine.norm-tolerance"),
            text_similarity=settings.number("quarantine.text-similarity"),
            topic_similarity=settings.number("quarantine.topic-similarity"),
            topic_size=settings.integer("quarantine.topic-size"),
        )


@dataclass(frozen=True, slots=True)
class _Known:
    topic: str
    fingerprint: str
    vector: "array[float]"


class _Sum:
    def __init__(self) -> None:
        self.vector: list[float] = []
        self.count = 0

    def add(self, vector: Sequence[float]) -> None:
        self.vector = list(map(add, self.vector, vector)) if self.count else list(vector)
        self.count += 1

    def drop(self, vector: Sequence[float]) -> None:
        self.vector = list(map(sub, self.vector, vector))
        self.count -= 1


class Inspector:
    """Knows the sound vectors of all documents, 4 bytes a dimension, and the means of their topics."""

    def __init__(self, bounds: Bounds) -> None:
        self._bounds = bounds
        self._known: dict[Name, _Known] = {}
        self._sums: dict[tuple[str, str], _Sum] = defaultdict(_Sum)

    def admit(self, documents: Sequence[Document], vectors: Sequence[Sequence[float]]) -> dict[Name, Flaw]:
        """Learn the vectors of documents that are new or edited; return what is wrong with those that are not sound.

        They may come together with their whole topic, so each is held against the others that have come.
        """
        flaws: dict[Name, Flaw] = {}
        for document, vector in zip(documents, vectors, strict=True):
            name = (document.tenant, document.id)
            self.forget([name])
            if flaw := self._shape(vector):
                flaws[name] = flaw
            else:
                self._learn(document, array("f", vector))
        for document in documents:
            name = (document.tenant, document.id)
            if name not in flaws and self._is_off_topic(document, self._known[name].vector, among_them=True):
                flaws[name] = Flaw.TOPIC
        self.forget(flaws)
        return flaws

    def flaw_of(self, document: Document, vector: Sequence[float]) -> Flaw | None:
        """Return what is wrong with a vector that was found with a document, None for a sound one."""
        known = self._known.get((document.tenant, document.id))
        found = array("f", vector)
        if known is not None and known.vector == found:
            return None
        if flaw := self._shape(vector):
            return flaw
        # Another text may have another vector: another gateway has taken an edit.
        if known is not None and known.fingerprint == fingerprint_of([document]):
            return Flaw.TEXT if _cosine(known.vector, found) < self._bounds.text_similarity else None
        return Flaw.TOPIC if self._is_off_topic(document, found) else None

    def forget(self, names: Iterable[Name]) -> None:
        """These have no vector that is known to be sound; it is no error when they never had."""
        for name in names:
            if (known := self._known.pop(name, None)) is not None:
                self._sums[name[0], known.topic].drop(known.vector)

    def _learn(self, document: Document, vector: "array[float]") -> None:
        self._known[document.tenant, document.id] = _Known(document.topic, fingerprint_of([document]), vector)
        self._sums[document.tenant, document.topic].add(vector)

    def _shape(self, vector: Sequence[float]) -> Flaw | None:
        if len(vector) != self._bounds.dimensions:
            return Flaw.DIMENSIONS
        norm = math.hypot(*vector)
        if not math.isfinite(norm):
            return Flaw.NOT_FINITE
        return Flaw.NORM if abs(norm - 1) > self._bounds.norm_tolerance else None

    def _is_off_topic(self, document: Document, vector: Sequence[float], *, among_them: bool = False) -> bool:
        """`among_them`: this vector is in the sum that the mean is made of, and is to be left out of it."""
        sum_ = self._sums[document.tenant, document.topic]
        if not document.topic or sum_.count - among_them < self._bounds.topic_size:
            return False
        mean = list(map(sub, sum_.vector, vector)) if among_them else sum_.vector
        return _cosine(mean, vector) < self._bounds.topic_similarity


def _cosine(one: Sequence[float], other: Sequence[float]) -> float:
    lengths = math.hypot(*one) * math.hypot(*other)
    return sum(map(mul, one, other)) / lengths if lengths else 0.0
