"""Answers that are given to other questions that mean the same: alike to the embedding model, and of the same intent.

Each tenant has buckets, one for each intent in each context, as hashes in the cache: so an answer about refunds is not
even looked at for a question about returns, and nobody's answers lie in the bucket of another. A bucket has so many
slots, and a question's slot follows from its words: a bucket cannot grow, and a question asked again replaces itself.
"""

import hashlib
import math
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from operator import mul

import msgspec

from target_stack.cache import Cache
from target_stack.clock import Clock
from target_stack.dependency import Attempts
from target_stack.documents import Document, fingerprint_of
from target_stack.editions import Editions
from target_stack.failures import DependencyError, FailureKind
from target_stack.intent import intent_of
from target_stack.keys import context_key
from target_stack.metrics import GatewayMetrics
from target_stack.parts import CachedAnswer, Question
from target_stack.policy import Policy
from target_stack.settings import Settings
from target_stack.tenant_filter import TenantFilter

__all__ = ["SemanticCache", "SemanticConfig", "Similar", "similarity_of"]

CARELESS = "careless"
NOT_COMPARABLE = -2.0
"""Below every cosine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SemanticConfig:
    """What counts as the same question. `ttl` is in seconds; without `bounds` any question does."""

    enabled: bool
    healthy: bool
    strict: bool
    bounds: bool
    similarity: float
    strict_similarity: float
    ttl: float
    slots: int

    @classmethod
    def from_settings(cls, settings: Settings) -> "SemanticConfig":
        """Read it from the settings."""
        mode = settings.text("semantic-cache")
        return cls(
            enabled=settings.switch("cache") and mode != "off",
            healthy=settings.switch("semantic-cache.healthy"),
            strict=settings.switch("semantic-cache.strict"),
            bounds=mode != CARELESS,
            similarity=settings.number("semantic-cache.similarity"),
            strict_similarity=settings.number("semantic-cache.strict-similarity"),
            ttl=settings.number("semantic-cache.ttl"),
            slots=settings.integer("semantic-cache.slots"),
        )

    def threshold(self, policy: Policy) -> float:
        """Return how alike another question must be, as a cosine."""
        if not self.bounds:
            return -1.0
        return self.strict_similarity if policy.name == "strict" else self.similarity


@dataclass(frozen=True, slots=True, kw_only=True)
class Similar:
    """The answer to a question that means the same; `similarity` is the questions' cosine, `age` in seconds."""

    answer: CachedAnswer
    similarity: float
    age: float


class _Entry(msgspec.Struct, frozen=True, kw_only=True):
    """One kept answer. `vector` is of its question, in floats of 4 bytes; `cited` are fingerprints by id."""

    tenant: str
    stored_at: float
    edition: str
    vector: bytes
    documents: str
    cited: dict[str, str]
    answer: CachedAnswer


class SemanticCache:
    """Keeps answers by what their questions mean."""

    def __init__(
        self,
        config: SemanticConfig,
        cache: Cache,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        editions: Editions,
        tenants: TenantFilter,
        model: str,
    ) -> None:
        """`model` is the one whose answers are kept."""
        self.config = config
        self._cache = cache
        self._clock = clock
        self._metrics = metrics
        self._editions = editions
        self._tenants = tenants
        self._model = model
        self._decoder = msgspec.msgpack.Decoder(_Entry)
        self._encoder = msgspec.msgpack.Encoder()

    def put(
        self,
        question: Question,
        vector: Sequence[float],
        answer: CachedAnswer,
        *,
        documents: list[Document],
        edition: str,
    ) -> None:
        """Keep, in the background, an answer that was made from these documents.

        `edition` is the tenant's from before they were looked for: a change since then may be missing from them.
        """
        if not self.config.enabled:
            return
        entry = _Entry(
            tenant=question.tenant,
            stored_at=self._clock.unix(),
            edition=edition if self._tenants.of_stand_ins else "",
            vector=array("f", vector).tobytes(),
            documents=fingerprint_of(documents),
            cited={one.id: fingerprint_of([one]) for one in documents if one.id in answer.citations},
            answer=answer,
        )
        slot = int(hashlib.sha256(question.query.encode()).hexdigest(), 16) % self.config.slots
        self._cache.put_member_later(
            self._bucket(question), str(slot), self._encoder.encode(entry), ttl=self.config.ttl
        )

    async def stand_in(self, question: Question, vector: Sequence[float], attempts: Attempts) -> Similar | None:
        """Return what may be given when no model answers: of the tenant's present edition, and as old as is allowed."""
        if not self.config.enabled:
            return None
        return await self._nearest(question, vector, attempts, lambda _, age: question.policy.accepts_age(age))

    async def while_healthy(
        self, question: Question, vector: Sequence[float], attempts: Attempts, *, documents: list[Document]
    ) -> Similar | None:
        """Return what may be given instead of asking a model, over the documents that this question has found itself.

        Whatever the answer cites must be among them, unchanged. Under the strict policy, which takes nothing from a
        cache unless it is configured to, it must have been made from the very same ones.
        """
        policy, config = question.policy, self.config
        if not (config.enabled and config.healthy and (policy.allow_cached or config.strict)):
            return None
        now, together = {one.id: fingerprint_of([one]) for one in documents}, fingerprint_of(documents)

        def holds(entry: _Entry, age: float) -> bool:
            if policy.allow_cached:
                return policy.accepts_age(age) and entry.cited.items() <= now.items()
            return entry.documents == together

        return await self._nearest(question, vector, attempts, holds)

    async def _nearest(
        self,
        question: Question,
        vector: Sequence[float],
        attempts: Attempts,
        holds: Callable[[_Entry, float], bool],
    ) -> Similar | None:
        try:
            members = await self._cache.members(self._bucket(question), attempts)
        except DependencyError as error:
            self._count("bypassed" if error.kind is FailureKind.REFUSED else "error")
            return None
        now, edition = self._clock.unix(), self._edition(question.tenant)
        threshold = self.config.threshold(question.policy)
        best: Similar | None = None
        outdated = False
        for entry in self._readable(members, question.tenant):
            age = max(now - entry.stored_at, 0.0)
            similarity = similarity_of(vector, entry.vector)
            if similarity < threshold or (best is not None and similarity <= best.similarity):
                continue
            if age > self.config.ttl or entry.edition != edition or not holds(entry, age):
                outdated = True
                continue
            best = Similar(answer=entry.answer, similarity=similarity, age=age)
        self._count("hit" if best is not None else "outdated" if outdated else "miss")
        return best

    def used(self, similar: Similar) -> None:
        """Note that what was found went into an answer."""
        self._metrics.cache_age.observe(similar.age)
        self._metrics.semantic_similarity.observe(similar.similarity)

    def _readable(self, members: Iterable[bytes], tenant: str) -> Iterator[_Entry]:
        for member in members:
            try:
                entry = self._decoder.decode(member)
            except msgspec.MsgspecError:
                continue
            if self._tenants.stand_in(tenant) in (None, entry.tenant):
                yield entry

    def _count(self, result: str) -> None:
        self._metrics.cache_requests.labels("semantic", result).inc()

    def _edition(self, tenant: str) -> str:
        """Of nobody's alone where nobody's documents are kept apart."""
        return self._editions.of(tenant) if self._tenants.of_stand_ins else ""

    def _bucket(self, question: Question) -> str:
        tenant = self._tenants.stand_in(question.tenant) or ""
        intent = intent_of(question.query) if self.config.bounds else ""
        key = context_key(question.conversation, intent=intent, max_tokens=question.max_tokens, model=self._model)
        return f"semantic:{len(tenant)}:{tenant}:{key}"


def similarity_of(vector: Sequence[float], kept: bytes) -> float:
    """Return the cosine of a vector and one that is kept in floats of 4 bytes; NOT_COMPARABLE where there is none."""
    if len(kept) != len(vector) * array("f").itemsize:
        return NOT_COMPARABLE
    other = array("f", kept)
    lengths = math.hypot(*vector) * math.hypot(*other)
    cosine = sum(map(mul, vector, other)) / lengths if lengths else math.nan
    return cosine if math.isfinite(cosine) else NOT_COMPARABLE
