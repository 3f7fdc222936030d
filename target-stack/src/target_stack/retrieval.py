"""Hybrid retrieval: dense and keyword search fused, and what stands in when a part of it is away."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from target_stack.cache import JsonCache
from target_stack.dependency import Attempts, Dependency
from target_stack.documents import Document
from target_stack.editions import Editions
from target_stack.embedder import Embedder
from target_stack.failures import DependencyError, FailureKind, StackError
from target_stack.fusion import reciprocal_rank_fusion
from target_stack.inspection import Inspector
from target_stack.keys import retrieval_key
from target_stack.keyword import KeywordIndex
from target_stack.ladder import Ladder, Source
from target_stack.metrics import GatewayMetrics
from target_stack.packing import pack
from target_stack.prompt import tokens_of
from target_stack.quarantine import Quarantine
from target_stack.tenant_filter import TenantFilter
from target_stack.tombstones import Tombstones
from target_stack.vector_store import Found, VectorStore

__all__ = ["HybridSearch", "Retrieved", "Retriever"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """Documents as they stand in the prompt; `age` in seconds when they come from a cache.

    `left_out` is how many more were found that did not fit into it, `vector` the query's where it was embedded, and
    `edition` the tenant's documents' from before they were looked for.
    """

    source: Source
    documents: list[Document]
    age: float | None = None
    left_out: int = 0
    vector: Sequence[float] | None = None
    edition: str = ""


class HybridSearch:
    """Dense and BM25 search over one tenant's documents, fused by reciprocal rank."""

    def __init__(
        self,
        embedder: Embedder,
        store: VectorStore,
        database: Dependency,
        keyword: KeywordIndex,
        *,
        tenants: TenantFilter,
        tombstones: Tombstones,
        quarantine: Quarantine,
        inspector: Inspector,
        candidates: int,
        top_k: int,
        rrf_k: int,
    ) -> None:
        self._embedder = embedder
        self._store = store
        self._database = database
        self._keyword = keyword
        self._tenants = tenants
        self._tombstones = tombstones
        self._quarantine = quarantine
        self._inspector = inspector
        self._candidates = candidates
        self._top_k = top_k
        self._rrf_k = rrf_k

    async def embed(self, query: str, attempts: Attempts) -> list[float]:
        """Return the query's vector; raise DependencyError when there is none."""
        return await self._embedder.embed(query, attempts)

    async def fresh(self, tenant: str, query: str, vector: Sequence[float], attempts: Attempts) -> list[Document]:
        """Return the best documents of both searches; raise DependencyError when the dense one fails."""
        scope = self._tenants.fresh(tenant)
        by_keyword = self._keyword.search(scope, query, limit=self._candidates)
        read_at = self._quarantine.moment
        others = [document.id for document in by_keyword]
        found = await self._database.call(
            lambda: self._store.search(scope, vector, limit=self._candidates, others=others), attempts
        )
        # The database's copy wins: it is the newer one when another gateway took the upload.
        known = {document.id: document for document in (*by_keyword, *found.others, *found.near)}
        ranking = reciprocal_rank_fusion([[d.id for d in found.near], others], k=self._rrf_k)
        servable = self._sound(self._servable(scope, (known[id_] for id_ in ranking)), found, read_at=read_at)
        return list(islice(servable, self._top_k))

    def _sound(self, documents: Iterable[Document], found: Found, *, read_at: int) -> Iterator[Document]:
        """Yield those whose vectors are sound, as far as there is one; the others go into quarantine."""
        for document in documents:
            vector = found.vectors.get((document.tenant, document.id)) if self._quarantine.enabled else None
            flaw = self._inspector.flaw_of(document, vector) if vector is not None else None
            if flaw is None:
                yield document
            else:
                self._quarantine.hold({(document.tenant, document.id): flaw}, found_at="retrieval", read_at=read_at)

    def by_keyword(self, tenant: str, query: str) -> list[Document]:
        """Return the best documents of keyword search alone."""
        scope = self._tenants.stand_in(tenant)
        return self._servable(scope, self._keyword.search(scope, query, limit=self._candidates))[: self._top_k]

    def from_cache(self, tenant: str, documents: list[Document]) -> list[Document]:
        """Return those of an earlier search that may be given again."""
        return self._servable(self._tenants.stand_in(tenant), documents)

    def may_cite(self, tenant: str, citations: Iterable[str]) -> bool:
        """Return whether an earlier answer that cites these of the tenant's documents may be given again."""
        return not any(self._hidden(tenant, id_) for id_ in citations)

    def _servable(self, tenant: str | None, documents: Iterable[Document]) -> list[Document]:
        return [one for one in own(tenant, documents) if not self._hidden(one.tenant, one.id)]

    def _hidden(self, tenant: str, id_: str) -> bool:
        return self._tombstones.hide(tenant, id_) or self._quarantine.hide(tenant, id_)


class Retriever:
    """Fresh retrieval, or what the ladder puts in its place, packed into `budget` tokens of a prompt."""

    def __init__(
        self,
        search: HybridSearch,
        cache: JsonCache[list[Document]],
        metrics: GatewayMetrics,
        *,
        editions: Editions,
        budget: int,
    ) -> None:
        self._search = search
        self._cache = cache
        self._metrics = metrics
        self._editions = editions
        self._budget = budget

    async def retrieve(self, tenant: str, query: str, ladder: Ladder, attempts: Attempts) -> Retrieved:
        """Return documents for the query; raise StackError (503) when the ladder has nothing to put in their place.

        Raises DependencyError when the request's time is up.
        """
        edition = self._editions.of(tenant)
        vector: list[float] | None = None
        try:
            vector = await self._search.embed(query, attempts)
            documents = await self._search.fresh(tenant, query, vector, attempts)
        except DependencyError as error:
            if error.kind is FailureKind.DEADLINE:
                raise
            retrieved = await self._stand_in(tenant, query, ladder, error, attempts)
        else:
            if documents:
                self._cache.put(tenant, retrieval_key(query), documents)
            retrieved = self._packed(Source.FRESH, documents)
        return replace(retrieved, vector=vector, edition=edition)

    def may_cite(self, tenant: str, citations: Iterable[str]) -> bool:
        """Return whether an earlier answer that cites these of the tenant's documents may be given again."""
        return self._search.may_cite(tenant, citations)

    def in_memory(self, tenant: str, query: str, *, limit: int) -> list[Document]:
        """Return documents without asking any dependency."""
        return self._search.by_keyword(tenant, query)[:limit]

    async def _stand_in(
        self, tenant: str, query: str, ladder: Ladder, error: DependencyError, attempts: Attempts
    ) -> Retrieved:
        for source in ladder.stand_ins(error.dependency):
            match source:
                case Source.CACHED:
                    cached = await self._cache.get(tenant, retrieval_key(query), attempts)
                    if cached is None or not ladder.policy.accepts_age(cached.age):
                        continue
                    # None is left where all were deleted since; another search may find others then.
                    if documents := self._search.from_cache(tenant, cached.value):
                        self._cache.used(cached)
                        return self._packed(source, documents, age=cached.age)
                case Source.KEYWORD:
                    if documents := self._search.by_keyword(tenant, query):
                        return self._packed(source, documents)
                case _:
                    return Retrieved(source=source, documents=[])
        raise StackError(
            503,
            "Document retrieval is unavailable, and the request's policy or the stack's configuration allows no answer "
            "without it.",
            code="retrieval_unavailable",
        ) from error

    def _packed(self, source: Source, documents: list[Document], *, age: float | None = None) -> Retrieved:
        packed = pack(documents, budget=self._budget, tokens_of=tokens_of)
        self._metrics.context_documents.labels("packed").inc(len(packed.documents))
        self._metrics.context_documents.labels("left_out").inc(packed.left_out)
        return Retrieved(source=source, documents=packed.documents, age=age, left_out=packed.left_out)


def own(tenant: str | None, documents: Iterable[Document]) -> list[Document]:
    """Return only the tenant's documents, or all where nobody's alone are looked for.

    Every search filters already; this is the last gate before a prompt, for the day when one of them does not.
    """
    return [document for document in documents if tenant in (None, document.tenant)]
