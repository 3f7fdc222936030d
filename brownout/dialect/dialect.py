"""What a dialect must know of its provider, and what follows from that for every failure."""

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from brownout.dialect import breaking
from brownout.dialect.answer import Answer, Headers, HttpAnswer, StreamAnswer
from brownout.dialect.call import Call, Reply, StreamParts, Usage
from brownout.dialect.failure import BODY_FAILURES, REPLY_FAILURES, STREAM_FAILURES, Failure, Options
from brownout.errors import InvalidInput

TOKENS = ("Brown", "out", " answers", " in", " place", " of", " the", " provider", ".")
"""What a model says when it says anything at all."""
USAGE = Usage(prompt=12, completion=len(TOKENS))


class NotOffered(InvalidInput):
    """The provider has no such failure; the message says why."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An error of the provider's API: the fields that providers use, of which each has its own."""

    status: int
    message: str
    """With the placeholders `{model}`, `{operation}` and `{seconds}`, until they may be asked again; so has `param`."""
    type: str | None = None
    code: str | None = None
    param: str | None = None


class Dialect(ABC):
    """A provider's API: one subclass, without state."""

    name: ClassVar[str]
    """`openai_chat`; the dialect registers under it."""
    provider: ClassVar[str]
    """`openai`; several dialects may be one provider's."""
    hosts: ClassVar[tuple[str, ...]] = ()
    """Where it is reached, with `*` as in a file name; empty for what people run themselves, anywhere."""
    problems: ClassVar[Mapping[Failure, Problem]]
    """The errors of its API."""
    pages: ClassVar[Mapping[Failure, HttpAnswer]] = {}
    """Errors that do not come from the API at all, but from an edge in front of it."""
    not_offered: ClassVar[Mapping[Failure, str]] = {}
    """Failures that this provider does not have, and why one should think so."""
    other_model: ClassVar[str]
    """A smaller model of the same provider."""
    stream_type: ClassVar[str] = "text/event-stream"
    token_mark: ClassVar[re.Pattern[bytes]]
    """What an event of a stream has in it that says something, and no other event has."""

    @abstractmethod
    def call(self, method: str, path: str, body: bytes) -> Call | None:
        """What a request asks for; None where it is none that this dialect answers. The path includes the query."""

    @abstractmethod
    def error_body(self, problem: Problem, call: Call) -> bytes:
        """The body of an error, whose placeholders are filled in already."""

    @abstractmethod
    def completion(self, reply: Reply, call: Call) -> bytes:
        """The body of a whole answer."""

    @abstractmethod
    def stream(self, reply: Reply, call: Call) -> StreamParts:
        """The same, streamed."""

    @abstractmethod
    def error_event(self, call: Call, sent: int) -> bytes:
        """What a stream says when the model fails after so many events; everything up to the end of the stream."""

    def headers(self, call: Call) -> Headers:
        """Headers of every answer, good or bad, its content type excepted."""
        return ()

    def error_headers(self, failure: Failure, problem: Problem, call: Call, options: Options) -> Headers:
        """Headers of an error, beyond those of every answer."""
        return ()

    def malformed(self, event: bytes) -> bytes:
        """The event, garbled: its JSON breaks off, its framing holds."""
        return breaking.half_event(event)

    def says(self, event: bytes) -> bool:
        """Whether that event of a stream holds text of the answer: a token, or a few in one."""
        return self.token_mark.search(event) is not None

    def offers(self, failure: Failure) -> bool:
        """Whether the provider has that failure."""
        return failure not in self.not_offered

    def applies(self, failure: Failure, call: Call) -> bool:
        """Whether the failure can befall that call: some are of streams alone, some of whole bodies."""
        return failure not in (BODY_FAILURES if call.stream else STREAM_FAILURES)

    def healthy(self, call: Call) -> Answer:
        """The answer when nothing is wrong."""
        return self._written(self._reply(call), call)

    def answer(self, failure: Failure, call: Call, options: Options | None = None) -> Answer:
        """The answer of a provider that fails in that way.

        Raises:
            NotOffered: this provider has no such failure, or it does not apply to that call.
        """
        options = options or Options()
        if not self.offers(failure):
            raise NotOffered(f"{self.name} has no {failure}: {self.not_offered[failure]}")
        if not self.applies(failure, call):
            kind = (
                "a stream; this call asks for a whole answer" if not call.stream else "whole bodies; this call streams"
            )
            raise NotOffered(f"{failure} is a failure of {kind}")
        if failure in self.pages:
            return self.pages[failure]
        if failure in self.problems:
            return self._error(failure, call, options)
        if failure is Failure.WRONG_CONTENT_TYPE:
            return breaking.MAINTENANCE_PAGE
        if failure in REPLY_FAILURES:
            return self._written(self._reply_gone_wrong(failure, call, options), call)
        whole = self._written(self._reply(call), call)
        if isinstance(whole, HttpAnswer):
            return breaking.broken_body(failure, whole)
        stream = self.stream(self._reply(call), call)
        sent = len(stream.opening) + breaking.tokens_before(stream, options)
        error = self.error_event(call, sent)
        steps = breaking.broken_stream(failure, stream, options, error_event=error, malformed=self.malformed)
        return replace(whole, steps=steps)

    def _written(self, reply: Reply, call: Call) -> Answer:
        headers = self.headers(call)
        if call.stream:
            steps = breaking.whole_stream(self.stream(reply, call))
            return StreamAnswer(200, (("content-type", self.stream_type), *headers), steps)
        body = self.completion(reply, call)
        return HttpAnswer(200, (("content-type", "application/json"), *headers), body)

    def _error(self, failure: Failure, call: Call, options: Options) -> HttpAnswer:
        problem = self.problems[failure]
        values = {"model": call.model, "operation": call.operation, "seconds": _plain(options.retry_after)}
        param = problem.param.format(**values) if problem.param is not None else None
        problem = replace(problem, message=problem.message.format(**values), param=param)
        special = self.error_headers(failure, problem, call, options)
        headers = (("content-type", "application/json"), *self.headers(call), *special)
        return HttpAnswer(problem.status, headers, self.error_body(problem, call))

    def _reply(self, call: Call) -> Reply:
        return Reply(model=call.model, tokens=TOKENS, usage=USAGE)

    def _reply_gone_wrong(self, failure: Failure, call: Call, options: Options) -> Reply:  # noqa: PLR0911 - one each
        reply = self._reply(call)
        match failure:
            case Failure.EMPTY_COMPLETION:
                return replace(reply, tokens=(), usage=Usage(USAGE.prompt, 0))
            case Failure.FINISH_LENGTH:
                kept = TOKENS[: len(TOKENS) // 2]
                return replace(reply, tokens=kept, usage=Usage(USAGE.prompt, len(kept)), finish="length")
            case Failure.CONTENT_FILTER:
                return replace(reply, tokens=TOKENS[:2], usage=Usage(USAGE.prompt, 2), finish="content_filter")
            case Failure.REFUSAL:
                return replace(reply, tokens=("I", " can", "'t", " help", " with", " that", "."), finish="refusal")
            case Failure.OTHER_MODEL:
                return replace(reply, model=options.model or self.other_model)
            case Failure.USAGE_MISSING:
                return replace(reply, usage=None)
            case _:
                inflated = Usage(USAGE.prompt * options.factor, USAGE.completion * options.factor)
                return replace(reply, usage=inflated)


def _plain(seconds: float) -> str:
    return f"{seconds:.3f}".rstrip("0").rstrip(".")
