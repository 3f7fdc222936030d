"""One question's answer in the making: by a model, or out of what is kept."""

from collections.abc import AsyncGenerator, Hashable, Mapping
from contextlib import aclosing
from dataclasses import dataclass

import msgspec

from target_stack.cache import JsonCache
from target_stack.chain import Candidate
from target_stack.clock import Clock
from target_stack.dependency import Attempts
from target_stack.documents import fingerprint_of
from target_stack.failures import DependencyError, FailureKind, StackError
from target_stack.keys import conversation_key, exact_key
from target_stack.ladder import ModelClass, Source
from target_stack.metrics import GatewayMetrics
from target_stack.parts import Begin, BrokenStreamError, CachedAnswer, Finish, Parts, Question, Text
from target_stack.pricing import PriceTable
from target_stack.prompt import cited, messages_for
from target_stack.providers import Completion, Token
from target_stack.retrieval import Retrieved
from target_stack.semantic import SemanticCache
from target_stack.serving import Making, Serving, Usage, disclaimer_for, warnings_of

__all__ = ["FirstToken", "Run", "Tools", "late"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tools:
    """What all questions share."""

    clock: Clock
    metrics: GatewayMetrics
    prices: PriceTable
    models: Mapping[ModelClass, str]
    exact: JsonCache[CachedAnswer]
    last: JsonCache[CachedAnswer]
    semantic: SemanticCache
    disclosure: bool


def late(message: str, *, code: str) -> StackError:
    """Return the error of a request whose time is up."""
    return StackError(504, message, code=code, kind="timeout_error")


class FirstToken:
    """Measures the time to one request's first token, once."""

    def __init__(self, tools: Tools, question: Question) -> None:
        self._tools = tools
        self._arrived_at = question.arrived_at
        self._came = False

    def came(self) -> None:
        if self._came:  # a held answer may begin again at the next provider
            return
        self._came = True
        self._tools.metrics.ttft.observe(self._tools.clock.monotonic() - self._arrived_at)


class Run:
    """What one question has gathered so far."""

    def __init__(
        self,
        tools: Tools,
        question: Question,
        retrieved: Retrieved,
        attempts: Attempts,
        ttft: FirstToken,
        *,
        fast: bool = False,
    ) -> None:
        """`fast`: the small model is this question's by choice, and none that stands in for another."""
        self._tools = tools
        self.question = question
        self.retrieved = retrieved
        self._attempts = attempts
        self._ttft = ttft
        self._fast = fast

    def exact_key(self) -> str:
        return exact_key(
            self.question.conversation,
            max_tokens=self.question.max_tokens,
            fingerprint=fingerprint_of(self.retrieved.documents),
            model=self._tools.models[ModelClass.MAIN],
        )

    def flight_key(self) -> Hashable:
        """Who has the same key gets the same answer, made in the same way."""
        question = self.question
        return (
            question.tenant,
            question.policy.name,
            question.tier,
            question.hold,
            self.retrieved.source,
            self._fast,
            self.exact_key(),
        )

    def shared(self, part: Begin | Text | Finish) -> Begin | Text | Finish:
        """Return a part of another request's answer as one of this request's."""
        match part:
            case Begin(serving):
                return Begin(self.own(serving))
            case Finish(reason, serving):
                return Finish(reason, self.own(serving))
            case _:
                return part

    def own(self, serving: Serving) -> Serving:
        """No call was made for this request and nothing was paid."""
        return msgspec.structs.replace(
            serving,
            request_id=self.question.request_id,
            attempts=dict(self._attempts.calls),
            usage=Usage(),
            cost_usd=0.0,
        )

    def replay(self, cached: CachedAnswer, making: Making) -> Parts:
        serving = self._serving(making, model=cached.model, provider=cached.provider, cache_used=not making.from_memory)
        serving = msgspec.structs.replace(serving, citations=cached.citations)
        return [Begin(serving), Text(cached.text), Finish(cached.finish_reason, serving)]

    async def generate(self, candidate: Candidate) -> AsyncGenerator[Begin | Text | Finish, None]:
        """Raises DependencyError before Begin: another candidate may be tried. BrokenStreamError after it."""
        question, retrieved = self.question, self.retrieved
        making = Making(
            source=retrieved.source,
            model=candidate.model_class,
            documents=len(retrieved.documents),
            age=retrieved.age,
            left_out=retrieved.left_out,
            by_choice=self._fast,
        )
        name = candidate.provider.name
        serving = self._serving(
            making,
            model=candidate.model,
            provider=name,
            cache_used=retrieved.source is Source.CACHED,
            failover=candidate.failover,
        )
        prefix = disclaimer_for(making, disclosure=self._tools.disclosure)
        said: list[str] = []
        held: list[Begin | Text] = []
        begun = False
        messages = messages_for(question.conversation, retrieved.documents)
        stream = candidate.provider.stream(
            candidate.model,
            messages,
            tenant=question.tenant,
            max_tokens=question.max_tokens,
            attempts=self._attempts,
        )
        async with aclosing(stream) as pieces:
            try:
                async for piece in pieces:
                    if not said:
                        self._ttft.came()
                        serving = msgspec.structs.replace(serving, attempts=dict(self._attempts.calls))
                        held = [Begin(serving), *([Text(prefix)] if prefix else [])]
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
                        self._store(making, finished, prefix + "".join(said), piece.finish_reason)
                        yield Finish(piece.finish_reason, finished)
            except DependencyError as error:
                if not begun:
                    raise
                raise self._broken(error, serving, "".join(said)) from error

    def _serving(
        self, making: Making, *, model: str, provider: str, cache_used: bool, failover: bool = False
    ) -> Serving:
        return Serving(
            request_id=self.question.request_id,
            model=model,
            provider=provider,
            failover=failover,
            policy=self.question.policy.name,
            degradation_level=making.level,
            cache_used=cache_used,
            cache_age_s=round(making.age, 3) if making.age is not None else None,
            cache_similarity=round(making.similarity, 4) if making.similarity is not None else None,
            retrieval=making.source,
            retrieval_quality=making.quality,
            warnings=warnings_of(making),
            attempts=dict(self._attempts.calls),
        )

    def _finished(self, serving: Serving, candidate: Candidate, text: str, end: Completion) -> Serving:
        usage = end.usage
        cost = self._tools.prices.cost_usd(
            candidate.model, prompt_tokens=usage.prompt_tokens, completion_tokens=usage.completion_tokens
        )
        return msgspec.structs.replace(
            serving,
            citations=cited(text, self.retrieved.documents),
            usage=usage,
            cost_usd=cost,
            attempts=dict(self._attempts.calls),
        )

    def _broken(self, error: DependencyError, serving: Serving, text: str) -> BrokenStreamError:
        serving = msgspec.structs.replace(
            serving, citations=cited(text, self.retrieved.documents), attempts=dict(self._attempts.calls)
        )
        message = "The answer stopped half-way: the model provider failed."
        stack_error = StackError(502, message, code="stream_interrupted", source=error.source)
        if error.kind is FailureKind.DEADLINE:
            stack_error = late("The answer stopped half-way: its time was up.", code="stream_interrupted")
        return BrokenStreamError(stack_error, serving, reason=error.kind.value)

    def _store(self, making: Making, serving: Serving, text: str, finish_reason: str) -> None:
        """Keep what is worth giving again: a whole answer, from the top of the ladder."""
        if making.level != 0 or making.model is ModelClass.SMALL or not making.documents or finish_reason != "stop":
            return
        question, tools = self.question, self._tools
        answer = CachedAnswer(
            text=text,
            model=serving.model,
            provider=serving.provider,
            citations=serving.citations,
            documents=making.documents,
            finish_reason=finish_reason,
        )
        tools.exact.put(question.tenant, self.exact_key(), answer)
        key = conversation_key(question.conversation, max_tokens=question.max_tokens)
        tools.last.put(question.tenant, key, answer)
        if (vector := self.retrieved.vector) is not None:
            documents, edition = self.retrieved.documents, self.retrieved.edition
            tools.semantic.put(question, vector, answer, documents=documents, edition=edition)
