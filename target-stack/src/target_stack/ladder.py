"""The degradation ladder: what stands in for what, and which rung an answer came from. Pure decisions, no I/O.

0  fresh retrieval                     + main model
1  cached retrieval, or keyword search + main model
2  no retrieval                        + main model, with a disclaimer
3  whatever documents there are        + small model
4  a fully cached answer
exhausted: an honest error
"""

from dataclasses import dataclass
from enum import StrEnum

from target_stack.policy import Policy

__all__ = [
    "CACHED_ANSWER_LEVEL",
    "LADDER_TOP",
    "SMALL_MODEL_LEVEL",
    "Ladder",
    "ModelClass",
    "Quality",
    "Source",
    "level_of",
    "quality_of",
]

LADDER_TOP = 0
CACHED_ANSWER_LEVEL = 4


class Source(StrEnum):
    """Where the documents of an answer came from; the words of `serving.retrieval`."""

    FRESH = "dense+keyword"
    CACHED = "cached"
    KEYWORD = "keyword"
    NONE = "none"


class Quality(StrEnum):
    """How good the retrieval behind an answer is; the words of `serving.retrieval_quality`."""

    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    NONE = "none"


class ModelClass(StrEnum):
    """The main model, or the smaller one that may stand in for it."""

    MAIN = "main"
    SMALL = "small"


_QUALITY = {
    Source.FRESH: Quality.HIGH,
    Source.CACHED: Quality.MEDIUM,
    Source.KEYWORD: Quality.LOW,
    Source.NONE: Quality.NONE,
}
_LEVEL = {Source.FRESH: 0, Source.CACHED: 1, Source.KEYWORD: 1, Source.NONE: 2}
SMALL_MODEL_LEVEL = 3


def level_of(source: Source, model: ModelClass) -> int:
    """Return the rung of an answer that a model wrote from documents of `source`."""
    return SMALL_MODEL_LEVEL if model is ModelClass.SMALL else _LEVEL[source]


def quality_of(source: Source, *, documents: int) -> Quality:
    """Return the retrieval quality; a search that found nothing has none, wherever it looked."""
    return _QUALITY[source] if documents else Quality.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class Ladder:
    """The rungs that one request may use: those that its policy allows, or only the top when `enabled` is false."""

    policy: Policy
    enabled: bool
    prefers_small: bool = False
    """Whether the small model is to be tried first, because the service is reduced."""

    def stand_ins(self, failed: str) -> tuple[Source, ...]:
        """Return what to try, in this order, when fresh retrieval failed at the dependency `failed`.

        Without the embedder, keyword search runs over current documents, so it comes before yesterday's result.
        Without the database, a cached result of the full search is better than keywords alone.
        Empty: the request must fail.
        """
        if not self.enabled or self.policy.require_retrieval:
            return ()
        if not self.policy.allow_cached:
            return (Source.KEYWORD, Source.NONE)
        if failed == "embedding":
            return (Source.KEYWORD, Source.CACHED, Source.NONE)
        return (Source.CACHED, Source.KEYWORD, Source.NONE)

    def models(self) -> tuple[ModelClass, ...]:
        """Return the classes of model to try, in this order."""
        if self.enabled and self.policy.allow_smaller_model:
            return (ModelClass.SMALL, ModelClass.MAIN) if self.prefers_small else (ModelClass.MAIN, ModelClass.SMALL)
        return (ModelClass.MAIN,)

    def may_end_with_cached_answer(self) -> bool:
        """Return whether an earlier answer may be given when no model answers."""
        return self.enabled and self.policy.allow_cached
