"""A provider fails: some requests, or all of them, get the answer that it gives when it does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from random import Random
from typing import cast

from brownout.dialect import (
    SILENT,
    STREAM_FAILURES,
    Call,
    Cut,
    Dialect,
    Failure,
    LiveStream,
    Options,
    Selection,
    Step,
    Wait,
    dialects_offering,
    on_the_wire,
)
from brownout.errors import BrownoutError
from brownout.proxy.http.endpoint import HttpEndpoint
from brownout.proxy.http.heads import Request
from brownout.proxy.toxic import Stage, register

TENANT_HEADER = "x-tenant-id"
"""Where a caller of a provider may say for whom it calls. A convention of this project: the providers have none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailureAttributes:
    """Who fails, how, and on which requests. Not known to Toxiproxy, whose users ask for the like (its issue 50).

    Text that selects may have `*` in it, as in a file name; where it is empty, and where a number is 0, all are meant.
    """

    provider: str = "openai"
    """`openai`, `anthropic`, ...; or one of its dialects, such as `openai_responses`."""
    failure: str = "server_error"
    """The name of a failure in `brownout.dialect`; or `silent`: nothing comes, and after `delay` the end."""
    retry_after: int = 20_000
    """Milliseconds, as all times are. What each of these is: `brownout.dialect.Options`."""
    after: int = 3
    delay: int = 30_000
    gap: int = 2_000
    factor: int = 100
    answering: str = ""
    """The model that answers in place of the one asked for."""
    first: int = 0
    """The first so many requests only."""
    every: int = 0
    """Every second, third, ... only."""
    share: float = 0.0
    """That share of them, 0.0 to 1.0, at random."""
    seed: int = 0
    """With a seed the same requests are taken, by their order, in every run; at 0 chance is the proxy's."""
    path: str = ""
    """Requests to that path."""
    header: str = ""
    """Requests with that header, `name` or `name: value`."""
    model: str = ""
    """Requests for that model."""
    tenant: str = ""
    """Requests of that tenant, who is named in the header `x-tenant-id`."""

    def __post_init__(self) -> None:
        try:
            dialects_offering(self.provider, self.failure)
            self.options()
            self.selection()
        except BrownoutError as exc:
            raise ValueError(str(exc)) from exc

    def options(self) -> Options:
        """How severe it is."""
        return Options(
            retry_after=self.retry_after / 1000,
            after=self.after,
            delay=self.delay / 1000,
            gap=self.gap / 1000,
            factor=self.factor,
            model=self.answering or None,
        )

    def selection(self) -> Selection:
        """Which of the requests that it could befall."""
        return Selection(first=self.first or None, every=self.every or None, share=self.share or None)


@register("provider_failure", ProviderFailureAttributes, http=True)
class ProviderFailure(Stage[ProviderFailureAttributes]):
    """Answers in the provider's place, as its dialect says, and does not call it; a stream that fails half-way is the
    provider's own, broken on its way.

    A request that no dialect of the provider understands passes, as does one that the failure cannot befall. On
    removal an answer under way comes to its end at once, a stream that stands still flows on, and who waits for an
    answer that would never have come is disconnected.
    """

    def attached(self) -> None:
        self._endpoint.join(self)

    def detached(self) -> None:
        self._endpoint.leave(self)

    def closed(self) -> None:
        self._endpoint.stop(self)

    def concerned(self, request: Request) -> bool:
        """Whether a request may be meant, by its head."""
        attributes = self.attributes
        name, colon, value = attributes.header.partition(":")
        wanted = [(name.strip().lower(), value.strip() if colon else "*")] if name else []
        wanted += [(TENANT_HEADER, attributes.tenant)] if attributes.tenant else []
        return (not attributes.path or fnmatchcase(request.path, attributes.path)) and all(
            any(fnmatchcase(found, pattern) for found in request.values(header)) for header, pattern in wanted
        )

    def decide(self, request: Request) -> Sequence[Step] | LiveStream | None:
        """What becomes of it."""
        attributes = self.attributes
        if not self.concerned(request):
            return None
        for dialect in dialects_offering(attributes.provider, attributes.failure):
            call = dialect.call(request.method, request.target, request.body)
            if call is not None:
                meant = not attributes.model or fnmatchcase(call.model, attributes.model)
                return self._taken(dialect, call) if meant and self._befalls(dialect, call) else None
        return None

    def failed(self) -> None:
        """What was decided has come about."""
        self.link.counters.failed_requests += 1

    @property
    def _endpoint(self) -> HttpEndpoint:
        return cast("HttpEndpoint", self.link.connection.server)

    def _befalls(self, dialect: Dialect, call: Call) -> bool:
        failure = self.attributes.failure
        return failure == SILENT or dialect.applies(Failure(failure), call)

    def _taken(self, dialect: Dialect, call: Call) -> Sequence[Step] | LiveStream | None:
        self.toxic.requests_met += 1
        self.link.counters.matched_requests += 1
        number, attributes = self.toxic.requests_met, self.attributes
        # By number, and not from one generator: whether the seventh is taken depends on nothing but seed and seven.
        chance = Random(f"{attributes.seed}/{number}") if attributes.seed else self.link.rng  # noqa: S311 - chance
        if not attributes.selection().takes(number, chance.random()):
            return None
        options = attributes.options()
        if attributes.failure == SILENT:
            return (Wait(options.delay), Cut())
        call = replace(call, at=self.link.scheduler.unix(), serial=number)
        failure = Failure(attributes.failure)
        if failure in STREAM_FAILURES:
            return LiveStream(dialect, failure, call, options)
        return tuple(on_the_wire(dialect.answer(failure, call, options)))
