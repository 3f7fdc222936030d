"""One question, answered from the highest rung of the ladder that holds."""

import asyncio
import functools
from collections.abc import AsyncGenerator
from contextlib import aclosing

from target_stack.backpressure import Backpressure
from target_stack.chain import ProviderChain
from target_stack.dependency import Attempts
from target_stack.draft import FirstToken, Run, Tools, late
from target_stack.emergency import DOCUMENTS, NO_MODEL, OURSELVES, emergency_answer
from target_stack.failures import DependencyError, ErrorSource, FailureKind, StackError
from target_stack.keys import conversation_key
from target_stack.ladder import CACHED_ANSWER_LEVEL, SMALL_MODEL_LEVEL, Ladder, ModelClass, Source
from target_stack.parts import Begin, BrokenStreamError, CachedAnswer, Finish, Parts, Question, Text
from target_stack.retrieval import Retrieved, Retriever
from target_stack.retry_after import wait_of
from target_stack.router import Router
from target_stack.semantic import Similar
from target_stack.service_mode import Mode, ServiceMode
from target_stack.serving import Making, Serving, in_mode, undisclosed
from target_stack.singleflight import SingleFlight

__all__ = ["Answerer"]


class Answerer:
    """Retrieval, caches and providers behind one question."""

    def __init__(
        self,
        retriever: Retriever,
        chain: ProviderChain,
        tools: Tools,
        *,
        read_exact: bool,
        fallbacks: bool,
        backpressure: Backpressure,
        flights: SingleFlight[Begin | Text | Finish] | None,
        mode: ServiceMode,
        router: Router,
    ) -> None:
        self._retriever = retriever
        self._chain = chain
        self._tools = tools
        self._metrics = tools.metrics
        self._read_exact = read_exact
        self._fallbacks = fallbacks
        self._backpressure = backpressure
        self._flights = flights
        self._mode = mode
        self._router = router

    async def answer(self, question: Question) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Yield one Begin, the Texts, one Finish.

        Raises StackError before Begin when no rung holds, BrokenStreamError after it when the answer stops half-way.
        """
        attempts = Attempts(question.deadline)
        ttft = FirstToken(self._tools, question)
        mode = self._mode.mode
        begun: Serving | None = None
        try:
            async with aclosing(self._answer(question, attempts, ttft, mode)) as parts:
                async for part in parts:
                    match part:
                        case Begin(serving):
                            ttft.came()
                            begun = in_mode(serving, mode)
                            yield Begin(self._said(begun))
                        case Finish(reason, serving):
                            self._count(serving)
                            yield Finish(reason, self._said(in_mode(serving, mode)))
                        case _:
                            yield part
        except BrokenStreamError as error:
            said = self._said(in_mode(error.serving, mode))
            raise BrokenStreamError(error.error, said, reason=error.reason) from error
        except DependencyError as error:
            if begun is not None:
                stopped = late("The answer stopped half-way: its time was up.", code="stream_interrupted")
                raise BrokenStreamError(stopped, self._said(begun), reason=error.kind.value) from error
            raise late("The request's time was up before it had an answer.", code="deadline_exceeded") from error
        finally:
            for name, calls in attempts.calls.items():
                self._metrics.calls_per_request.labels(name).observe(calls)

    async def _answer(
        self, question: Question, attempts: Attempts, ttft: FirstToken, mode: Mode
    ) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Yield with the true metadata. Raises DependencyError as well, when the request's time is up."""
        favoured = question.tier == "enterprise"
        fast = question.policy.allow_smaller_model and self._router.prefers_fast(
            question.conversation, patience=question.deadline.left()
        )
        self._metrics.routed.labels("fast" if fast else "strong").inc()
        reduced = mode is not Mode.FULL and not favoured
        ladder = Ladder(policy=question.policy, enabled=self._fallbacks, prefers_small=fast or reduced)
        in_memory = mode is Mode.EMERGENCY and ladder.may_end_with_cached_answer()
        parts = self._from_memory(question, attempts, ttft) if in_memory and not favoured else []
        if not parts:
            retrieved = await self._retriever.retrieve(question.tenant, question.query, ladder, attempts)
            run = Run(self._tools, question, retrieved, attempts, ttft, fast=fast and not reduced)
            parts = await self._exact_answer(run, attempts) or await self._similar_answer(run, attempts)
        if not parts:
            try:
                shared, answer = self._together(run, ladder, attempts)
                async with aclosing(answer) as fresh:
                    async for part in fresh:
                        yield run.shared(part) if shared else part
                self._mode.asked(failed=False)
            except BrokenStreamError as error:
                self._mode.asked(failed=error.error.source is ErrorSource.PROVIDER)
                serving = run.own(error.serving) if shared else error.serving
                raise BrokenStreamError(error.error, serving, reason=error.reason) from error
            except _NoModelError as error:
                causes = error.failures.values()
                self._mode.asked(failed=any(cause.source is not ErrorSource.OWN_SYSTEM for cause in causes))
                parts = await self._earlier_answer(run, ladder, attempts)
                if not parts and in_memory:
                    parts = self._from_memory(question, attempts, ttft)
                if not parts:
                    raise _exhausted(error.failures) from None
        for part in parts:
            yield part

    async def _exact_answer(self, run: Run, attempts: Attempts) -> Parts:
        """Return the answer to this question over these documents, where it is kept and may be read."""
        question = run.question
        if not (self._read_exact and run.retrieved.source is Source.FRESH and question.policy.allow_cached):
            return []
        hit = await self._tools.exact.get(question.tenant, run.exact_key(), attempts)
        if hit is None:
            return []
        self._tools.exact.used(hit)
        making = Making(
            source=Source.FRESH,
            model=ModelClass.MAIN,
            documents=hit.value.documents,
            age=hit.age,
            left_out=run.retrieved.left_out,
        )
        return run.replay(hit.value, making)

    async def _similar_answer(self, run: Run, attempts: Attempts) -> Parts:
        """Return the answer to another question that means the same, where that may be given while all is well."""
        question, retrieved = run.question, run.retrieved
        if retrieved.source is not Source.FRESH or retrieved.vector is None:
            return []
        similar = await self._tools.semantic.while_healthy(
            question, retrieved.vector, attempts, documents=retrieved.documents
        )
        return self._replay_similar(run, similar, Source.FRESH)

    async def _earlier_answer(self, run: Run, ladder: Ladder, attempts: Attempts) -> Parts:
        """Return an earlier answer, to this question or else to one that means the same, where the policy allows it."""
        if not ladder.may_end_with_cached_answer():
            return []
        if parts := await self._last_answer(run, attempts):
            return parts
        if run.retrieved.vector is None:
            return []
        similar = await self._tools.semantic.stand_in(run.question, run.retrieved.vector, attempts)
        return self._replay_similar(run, similar, Source.CACHED)

    def _replay_similar(self, run: Run, similar: Similar | None, source: Source) -> Parts:
        if similar is None or not self._retriever.may_cite(run.question.tenant, similar.answer.citations):
            return []
        self._tools.semantic.used(similar)
        making = Making(
            source=source,
            model=ModelClass.MAIN,
            documents=similar.answer.documents,
            age=similar.age,
            left_out=run.retrieved.left_out,
            similarity=similar.similarity,
            cached_answer=source is Source.CACHED,
        )
        return run.replay(similar.answer, making)

    async def _last_answer(self, run: Run, attempts: Attempts) -> Parts:
        """Return the last answer to this question, whatever documents it was made from."""
        question = run.question
        key = conversation_key(question.conversation, max_tokens=question.max_tokens)
        last = await self._tools.last.get(question.tenant, key, attempts)
        if last is None or not question.policy.accepts_age(last.age):
            return []
        if not self._retriever.may_cite(question.tenant, last.value.citations):
            return []
        self._tools.last.used(last)
        making = Making(
            source=Source.CACHED,
            model=ModelClass.MAIN,
            documents=last.value.documents,
            age=last.age,
            cached_answer=True,
        )
        return run.replay(last.value, making)

    def _from_memory(self, question: Question, attempts: Attempts, ttft: FirstToken) -> Parts:
        """Return what can be said without any dependency."""
        documents = self._retriever.in_memory(question.tenant, question.query, limit=DOCUMENTS)
        run = Run(self._tools, question, Retrieved(source=Source.KEYWORD, documents=documents), attempts, ttft)
        answer = CachedAnswer(
            text=emergency_answer(documents),
            model=NO_MODEL,
            provider=OURSELVES,
            citations=tuple(document.id for document in documents),
            documents=len(documents),
            finish_reason="stop",
        )
        making = Making(source=Source.KEYWORD, model=ModelClass.MAIN, documents=len(documents), from_memory=True)
        return run.replay(answer, making)

    def _together(
        self, run: Run, ladder: Ladder, attempts: Attempts
    ) -> tuple[bool, AsyncGenerator[Begin | Text | Finish, None]]:
        """Join whoever has the same question answered from the same documents just now; whether there is somebody.

        The generator is as `_from_models`.
        """
        if self._flights is None:
            return False, self._from_models(run, ladder, attempts)
        key = run.flight_key()
        shared = self._flights.is_flying(key)
        self._metrics.single_flight.labels("joined" if shared else "led").inc()
        work = functools.partial(self._from_models, run, ladder, attempts)
        return shared, self._flights.join(key, work, deadline=attempts.deadline)

    async def _from_models(
        self, run: Run, ladder: Ladder, attempts: Attempts
    ) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Yield a whole answer; raise _NoModelError when no model gives one."""
        failures: dict[str, DependencyError] = {}
        candidates = self._chain.candidates(
            ladder.models(), failures, deadline=attempts.deadline, retries=self._mode.mode is Mode.FULL
        )
        for candidate in candidates:
            try:
                if candidate.wait:
                    await asyncio.sleep(candidate.wait)
                async with aclosing(run.generate(candidate)) as parts:
                    async for part in parts:
                        yield part
            except DependencyError as error:
                if error.kind is FailureKind.DEADLINE:
                    raise
                failures[error.dependency] = error
                if error.backpressure:
                    self._backpressure.said_high(retry_after=wait_of(error.retry_after, now=self._tools.clock.unix()))
            else:
                return
        raise _NoModelError(failures)

    def _said(self, serving: Serving) -> Serving:
        if self._tools.disclosure:
            return serving
        return undisclosed(serving, main_model=self._tools.models[ModelClass.MAIN])

    def _count(self, serving: Serving) -> None:
        """Metrics tell operators the truth, whatever `disclosure` lets the answer say."""
        metrics = self._metrics
        metrics.answers.labels(str(serving.degradation_level)).inc()
        metrics.degradation_level.observe(serving.degradation_level)
        metrics.tokens.labels("prompt").inc(serving.usage.prompt_tokens)
        metrics.tokens.labels("completion").inc(serving.usage.completion_tokens)
        metrics.cost.inc(serving.cost_usd)
        for kind in self._fallbacks_used(serving):
            metrics.fallbacks.labels(kind).inc()

    def _fallbacks_used(self, serving: Serving) -> list[str]:
        if serving.degradation_level == CACHED_ANSWER_LEVEL:
            similar = "cached_answer" if serving.cache_similarity is None else "semantic_answer"
            return ["emergency" if serving.model == NO_MODEL else similar]
        kinds = {Source.CACHED: ["cached_retrieval"], Source.KEYWORD: ["keyword"], Source.NONE: ["no_retrieval"]}
        used = kinds.get(serving.retrieval, [])
        if serving.degradation_level == SMALL_MODEL_LEVEL:
            used = [*used, "small_model"]
        if serving.failover:
            used = [*used, "provider"]
        return used


class _NoModelError(Exception):
    """No model gave an answer; `failures` is each dependency's last."""

    def __init__(self, failures: dict[str, DependencyError]) -> None:
        super().__init__("no model gave an answer")
        self.failures = failures


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
