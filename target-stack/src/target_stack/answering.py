"""One question, answered from the highest rung of the ladder that holds."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from target_stack.cache import JsonCache
from target_stack.clock import Clock
from target_stack.dependency import Attempts
from target_stack.documents import fingerprint_of
from target_stack.failures import DependencyError, ErrorSource, StackError
from target_stack.keys import conversation_key, exact_key
from target_stack.ladder import Ladder, ModelClass, Source
from target_stack.metrics import GatewayMetrics
from target_stack.policy import Policy
from target_stack.pricing import PriceTable
from target_stack.prompt import cited, messages_for
from target_stack.providers import Candidate, Completion, ProviderChain, Token
from target_stack.retrieval import Retrieved, Retriever
from target_stack.serving import Making, Serving, disclaimer_for, undisclosed, warnings_of
from target_stack.wire import Message

__all__ = ["Answerer", "Begin", "BrokenStreamError", "CachedAnswer", "Finish", "Question", "Text"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What to answer and for whom. `arrived_at` is monotonic, in seconds; `hold` waits for the whole answer."""

    request_id: str
    tenant: str
    policy: Policy
    conversation: tuple[Message, ...]
    arrived_at: float
    hold: bool
    max_tokens: int | None = None

    @property
    def query(self) -> str:
        """The last thing that the user said."""
        return next(message.text for message in reversed(self.conversation) if message.role == "user")


@dataclass(frozen=True, slots=True)
class Begin:
    """The answer is certain to begin; the metadata knows all but citations, usage and cost."""

    serving: Serving


@dataclass(frozen=True, slots=True)
class Text:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The answer is whole."""

    finish_reason: str
    serving: Serving


class BrokenStreamError(Exception):
    """The answer stopped after it had begun; `serving` says what is known of it."""

    def __init__(self, error: StackError, serving: Serving, *, reason: str) -> None:
        super().__init__(error.message)
        self.error = error
        self.serving = serving
        self.reason = reason


class CachedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A whole answer from level 0, as it is kept."""

    text: str
    model: str
    provider: str
    citations: tuple[str, ...]
    documents: int
    finish_reason: str


class Answerer:
    """Retrieval, caches and providers behind one question."""

    def __init__(
        self,
        retriever: Retriever,
        chain: ProviderChain,
        prices: PriceTable,
        clock: Clock,
        metrics: GatewayMetrics,
        *,
        exact: JsonCache[CachedAnswer],
        last: JsonCache[CachedAnswer],
        read_exact: bool,
        fallbacks: bool,
        disclosure: bool,
    ) -> None:
        self._retriever = retriever
        self._chain = chain
        self._prices = prices
        self._clock = clock
        self._metrics = metrics
        self._exact = exact
        self._last = last
        self._read_exact = read_exact
        self._fallbacks = fallbacks
        self._disclosure = disclosure

    async def answer(self, question: Question) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Yield one Begin, the Texts, one Finish.

        Raises StackError before Begin when no rung holds, BrokenStreamError after it when the answer stops half-way.
        """
        ladder = Ladder(policy=question.policy, enabled=self._fallbacks)
        attempts = Attempts()
        retrieved = await self._retriever.retrieve(question.tenant, question.query, ladder, attempts)
        run = _Run(self, question, retrieved, attempts)
        fresh = retrieved.source is Source.FRESH
        exact = run.exact_key() if fresh and question.policy.allow_cached else None
        if exact is not None and self._read_exact:
            hit = await self._exact.get(question.tenant, exact, attempts)
            if hit is not None:
                self._exact.used(hit)
                making = Making(source=Source.FRESH, model=ModelClass.MAIN, documents=hit.value.documents, age=hit.age)
                async for part in run.replay(hit.value, making):
                    yield part
                return
        failures: dict[str, DependencyError] = {}
        for candidate in self._chain.candidates(ladder.models(), failures):
            try:
                async with aclosing(run.generate(candidate)) as parts:
                    async for part in parts:
                        yield part
            except DependencyError as error:
                failures[error.dependency] = error
            else:
                return
        if ladder.may_end_with_cached_answer():
            key = conversation_key(question.conversation, max_tokens=question.max_tokens)
            last = await self._last.get(question.tenant, key, attempts)
            if last is not None and question.policy.accepts_age(last.age):
                self._last.used(last)
                making = Making(
                    source=Source.CACHED,
                    model=ModelClass.MAIN,
                    documents=last.value.documents,
                    age=last.age,
                    cached_answer=True,
                )
                async for part in run.replay(last.value, making):
                    yield part
                return
        raise _exhausted(failures)


class _Run:
    """What one question has gathered so far."""

    def __init__(self, stack: Answerer, question: Question, retrieved: Retrieved, attempts: Attempts) -> None:
        self._stack = stack
        self._question = question
        self._retrieved = retrieved
        self._attempts = attempts
        self._spoke = False

    def exact_key(self) -> str:
        return exact_key(
            self._question.conversation,
            max_tokens=self._question.max_tokens,
            fingerprint=fingerprint_of(self._retrieved.documents),
            model=self._stack._chain.models[ModelClass.MAIN],
        )

    async def replay(self, cached: CachedAnswer, making: Making) -> AsyncGenerator[Begin | Text | Finish, None]:
        serving = self._serving(making, model=cached.model, provider=cached.provider, cache_used=True)
        serving = msgspec.structs.replace(serving, citations=cached.citations)
        self._first_token()
        yield Begin(self._said(serving))
        yield Text(cached.text)
        self._count(making, serving)
        yield Finish(cached.finish_reason, self._said(serving))

    async def generate(self, candidate: Candidate) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Raises DependencyError before Begin: another candidate may be tried. BrokenStreamError after it."""
        question, retrieved = self._question, self._retrieved
        making = Making(
            source=retrieved.source,
            model=candidate.model_class,
            documents=len(retrieved.documents),
            age=retrieved.age,
        )
        name = candidate.provider.name
        serving = self._serving(
            making, model=candidate.model, provider=name, cache_used=retrieved.source is Source.CACHED
        )
        prefix = disclaimer_for(making, disclosure=self._stack._disclosure)
        said: list[str] = []
        held: list[Begin | Text] = []
        begun = False
        messages = messages_for(question.conversation, retrieved.documents)
        stream = candidate.provider.stream(
            candidate.model, messages, max_tokens=question.max_tokens, attempts=self._attempts
        )
        async with aclosing(stream) as pieces:
            try:
                async for piece in pieces:
                    if not said:
                        self._first_token()
                        serving = msgspec.structs.replace(serving, attempts=dict(self._attempts))
                        held = [Begin(self._said(serving)), *([Text(prefix)] if prefix else [])]
                    if isinstance(piece, Token):
                        said.append(piece.text)
                        held.append(Text(piece.text))
                    if not question.hold or isinstance(piece, Completion):
                        begun = True
                        for part in held:
                            yield part
                        held.clear()
                    if isinstance(piece, Completion):
                        finished = self._finished(serving, candidate, "".join(said), piece)
                        self._count(making, finished)
                        self._store(making, finished, prefix + "".join(said), piece.finish_reason)
                        yield Finish(piece.finish_reason, self._said(finished))
            except DependencyError as error:
                if not begun:
                    raise
                raise self._broken(error, serving, "".join(said)) from error

    def _first_token(self) -> None:
        if self._spoke:  # a held answer may begin again at the next provider
            return
        self._spoke = True
        elapsed = self._stack._clock.monotonic() - self._question.arrived_at
        self._stack._metrics.ttft.observe(elapsed)

    def _serving(self, making: Making, *, model: str, provider: str, cache_used: bool) -> Serving:
        return Serving(
            request_id=self._question.request_id,
            model=model,
            provider=provider,
            policy=self._question.policy.name,
            degradation_level=making.level,
            cache_used=cache_used,
            cache_age_s=round(making.age, 3) if making.age is not None else None,
            retrieval=making.source,
            retrieval_quality=making.quality,
            warnings=warnings_of(making),
            attempts=dict(self._attempts),
        )

    def _finished(self, serving: Serving, candidate: Candidate, text: str, end: Completion) -> Serving:
        usage = end.usage
        cost = self._stack._prices.cost_usd(
            candidate.model, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
        )
        return msgspec.structs.replace(
            serving,
            citations=cited(text, self._retrieved.documents),
            usage=usage,
            cost_usd=cost,
            attempts=dict(self._attempts),
        )

    def _said(self, serving: Serving) -> Serving:
        if self._stack._disclosure:
            return serving
        return undisclosed(serving, main_model=self._stack._chain.models[ModelClass.MAIN])

    def _broken(self, error: DependencyError, serving: Serving, text: str) -> BrokenStreamError:
        serving = msgspec.structs.replace(
            serving, citations=cited(text, self._retrieved.documents), attempts=dict(self._attempts)
        )
        message = "The answer stopped half-way: the model provider failed."
        stack_error = StackError(502, message, code="stream_interrupted", source=error.source)
        return BrokenStreamError(stack_error, self._said(serving), reason=error.kind.value)

    def _store(self, making: Making, serving: Serving, text: str, finish_reason: str) -> None:
        """Keep what is worth giving again: a whole answer, from the top of the ladder."""
        if making.level != 0 or not making.documents or finish_reason != "stop":
            return
        question, stack = self._question, self._stack
        answer = CachedAnswer(
            text=text,
            model=serving.model,
            provider=serving.provider,
            citations=serving.citations,
            documents=making.documents,
            finish_reason=finish_reason,
        )
        stack._exact.put(question.tenant, self.exact_key(), answer)
        key = conversation_key(question.conversation, max_tokens=question.max_tokens)
        stack._last.put(question.tenant, key, answer)

    def _count(self, making: Making, serving: Serving) -> None:
        """Metrics tell operators the truth, whatever `disclosure` lets the answer say."""
        metrics = self._stack._metrics
        metrics.answers.labels(str(making.level)).inc()
        metrics.degradation_level.observe(making.level)
        metrics.tokens.labels("prompt").inc(serving.usage.prompt_tokens)
        metrics.tokens.labels("completion").inc(serving.usage.completion_tokens)
        metrics.cost.inc(serving.cost_usd)
        for kind in self._fallbacks_used(making, serving):
            metrics.fallbacks.labels(kind).inc()

    def _fallbacks_used(self, making: Making, serving: Serving) -> list[str]:
        if making.cached_answer:
            return ["cached_answer"]
        kinds = {Source.CACHED: ["cached_retrieval"], Source.KEYWORD: ["keyword"], Source.NONE: ["no_retrieval"]}
        used = kinds.get(making.source, [])
        if making.model is ModelClass.SMALL:
            used = [*used, "small_model"]
        if not serving.cache_used and serving.provider not in self._stack._chain.first:
            used = [*used, "provider"]
        return used


def _exhausted(failures: dict[str, DependencyError]) -> StackError:
    limits = [error for error in failures.values() if error.source is ErrorSource.RATE_LIMIT]
    if failures and len(limits) == len(failures):
        return StackError(
            429,
            "Every model provider asks to slow down.",
            code="rate_limited",
            kind="rate_limit_error",
            source=ErrorSource.RATE_LIMIT,
            retry_after=limits[0].retry_after,
        )
    own = failures and all(error.source is ErrorSource.OWN_SYSTEM for error in failures.values())
    return StackError(
        503,
        "No model provider could answer, and no earlier answer may be given instead.",
        code="providers_unavailable",
        source=ErrorSource.OWN_SYSTEM if own else ErrorSource.PROVIDER,
        retry_after=next((error.retry_after for error in failures.values() if error.retry_after), None),
    )
