"""Visible degradation: what every answer says about how it was made (the `serving` object and the `x-` headers)."""

from dataclasses import dataclass

import msgspec

from target_stack.ladder import CACHED_ANSWER_LEVEL, LADDER_TOP, ModelClass, Quality, Source, level_of, quality_of
from target_stack.policy import PolicyName
from target_stack.service_mode import Mode

__all__ = ["DISCLAIMER", "Serving", "Usage", "disclaimer_for", "headers_of", "in_mode", "undisclosed", "warnings_of"]

DISCLAIMER = "I could not reach your documents, so this is general knowledge and may not match them. "
"""Put before the answer at level 2."""


class Usage(msgspec.Struct, frozen=True):
    """Tokens of one answer, as its provider counted them."""

    prompt_tokens: int = 0
    completion_tokens: int = 0


class Serving(msgspec.Struct, frozen=True, kw_only=True):
    """How an answer was made. `cache_age_s` is in seconds, `attempts` counts calls per dependency.

    `cache_similarity` is the cosine of this question and the one whose answer this is, None for its own answer.
    `failover`: the answer was another provider's turn. That is no degradation: all of them have the same models.
    """

    request_id: str
    model: str
    provider: str
    failover: bool = False
    policy: PolicyName
    service_mode: str = "full"
    degradation_level: int
    cache_used: bool
    cache_age_s: float | None
    cache_similarity: float | None = None
    retrieval: Source
    retrieval_quality: Quality
    warnings: tuple[str, ...]
    citations: tuple[str, ...] = ()
    usage: Usage = Usage()
    cost_usd: float = 0.0
    attempts: dict[str, int] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class Making:
    """The facts from which level, quality and warnings follow. `age` is of the cached part, in seconds."""

    source: Source
    model: ModelClass
    documents: int
    age: float | None = None
    cached_answer: bool = False
    from_memory: bool = False
    left_out: int = 0
    """Documents that were found and did not fit into the prompt."""
    similarity: float | None = None
    """Of the question that the cached answer was given to, where that is another one."""
    by_choice: bool = False
    """Whether the model is the one that the question was meant for, however small."""

    @property
    def level(self) -> int:
        if self.cached_answer or self.from_memory:
            return CACHED_ANSWER_LEVEL
        return level_of(self.source, ModelClass.MAIN if self.by_choice else self.model)

    @property
    def quality(self) -> Quality:
        return quality_of(self.source, documents=self.documents)


def warnings_of(making: Making) -> tuple[str, ...]:
    """Return what the reader must know; empty exactly when nothing is degraded and documents were found and fit."""
    age = f"{making.age:.0f} s old" if making.age is not None else "of unknown age"
    if making.from_memory:
        return ("No model was asked; these are documents that share words with the question.",)
    if making.cached_answer:
        which = "the same question" if making.similarity is None else "another question that means the same"
        return (f"No model could be reached; this is an earlier answer to {which}, {age}.",)
    warnings = []
    if making.similarity is not None:
        warnings.append(f"This is an earlier answer to another question that means the same, {age}.")
    match making.source:
        case Source.CACHED:
            warnings.append(f"Document search is unavailable; the documents are from an earlier search, {age}.")
        case Source.KEYWORD:
            warnings.append("Semantic search is unavailable; the documents were found by keywords only.")
        case Source.NONE:
            warnings.append("No documents could be retrieved; this answer is the model's own knowledge.")
        case Source.FRESH if not (making.documents or making.left_out):
            warnings.append("No document matches the question.")
        case Source.FRESH:
            pass
    if making.left_out:
        which = "1 document that was" if making.left_out == 1 else f"{making.left_out} documents that were"
        warnings.append(f"{which} found did not fit into the prompt.")
    if making.model is ModelClass.SMALL and not making.by_choice:
        warnings.append("The main model was not available; a smaller model wrote this answer.")
    return tuple(warnings)


def disclaimer_for(making: Making, *, disclosure: bool) -> str:
    """Return the text that goes before the answer, empty for most."""
    return DISCLAIMER if disclosure and making.source is Source.NONE and not making.cached_answer else ""


def in_mode(serving: Serving, mode: Mode) -> Serving:
    """Return the metadata with the service's mode, which every answer of a reduced service mentions."""
    if mode is Mode.FULL:
        return serving
    name = mode.name.lower()
    warning = f"The service is in {name} mode; some answers are simpler than usual."
    return msgspec.structs.replace(serving, service_mode=name, warnings=(*serving.warnings, warning))


def undisclosed(serving: Serving, *, main_model: str) -> Serving:
    """Return a degraded answer's metadata as a stack with the silent-degradation bug would give it.

    Everything that tells of the degradation claims the healthy path; provider, citations, usage and attempts stay.
    """
    if serving.degradation_level == LADDER_TOP and serving.service_mode == "full":
        return serving
    return msgspec.structs.replace(
        serving,
        service_mode="full",
        model=main_model,
        degradation_level=LADDER_TOP,
        cache_used=False,
        cache_age_s=None,
        cache_similarity=None,
        retrieval=Source.FRESH,
        retrieval_quality=Quality.HIGH,
        warnings=(),
    )


def headers_of(serving: Serving) -> dict[str, str]:
    """Return the headers that stand at the start of a response, before a stream's last chunk can say it."""
    return {
        "x-request-id": serving.request_id,
        "x-degradation-level": str(serving.degradation_level),
        "x-retrieval-quality": serving.retrieval_quality.value,
        "x-policy": serving.policy,
        "x-service-mode": serving.service_mode,
        "x-cache-used": "true" if serving.cache_used else "false",
    }
