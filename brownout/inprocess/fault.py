"""A provider that fails, as an object: which requests it answers, and how."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from enum import StrEnum
from fnmatch import fnmatchcase
from types import TracebackType
from typing import TYPE_CHECKING, Literal, Self, TypedDict, Unpack

from brownout.dialect import (
    Answer,
    Call,
    Dialect,
    Failure,
    Options,
    Selection,
    dialects_of,
    dialects_offering,
    installed_dialects,
)
from brownout.errors import InvalidInput
from brownout.inprocess.pace import INSTANT, Pace

if TYPE_CHECKING:
    import httpx


class Outage(StrEnum):
    """A provider that cannot be reached at all."""

    SILENT = "silent"
    """It takes the request and never answers: the caller learns of it by its own read timeout alone."""
    REFUSED = "refused"
    """It refuses the connection, at once."""
    UNREACHABLE = "unreachable"
    """The connection is never made: the caller learns of it by its own connect timeout alone."""


class NothingMet(AssertionError):
    """A fault met no request that it could have broken, so that the test has proved nothing."""


class Settings(TypedDict, total=False):
    """The settings of a `ProviderFault`; `provider_fault` says what each is."""

    host: str | None
    first: int | None
    every: int | None
    share: float | None
    seed: int
    options: Options | None
    otherwise: Literal["answer", "pass"]
    must_meet: bool
    pace: Pace
    now: Callable[[], float]


class ProviderFault:
    """One provider's failure, for the requests that it is meant for; without a failure, the provider when it is well.

    `met` counts the provider's requests, `broken` those that failed. Thread-safe. Made by `provider_fault`,
    `provider_outage` and `healthy_provider`.
    """

    def __init__(
        self,
        provider: str,
        failure: Failure | Outage | None,
        *,
        host: str | None = None,
        first: int | None = None,
        every: int | None = None,
        share: float | None = None,
        seed: int = 0,
        options: Options | None = None,
        otherwise: Literal["answer", "pass"] = "answer",
        must_meet: bool = True,
        pace: Pace = INSTANT,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._selection = Selection(first=first, every=every, share=share)
        self.provider = provider
        self.failure = failure
        self.pace = pace
        self.dialects = dialects_of(provider)
        self.met = 0
        self.broken = 0
        if isinstance(failure, Failure):
            dialects_offering(provider, failure)
        self._host = host
        self._options = options or Options()
        self._otherwise = otherwise
        self._must_meet = must_meet
        self._now = now
        self._chance = random.Random(seed)  # noqa: S311 - to be repeated, not to be secret
        self._suited = 0
        self._lock = threading.Lock()

    def answer(self, method: str, host: str, path: str, body: bytes) -> Answer | Outage | None:
        """What comes of a request; None where it is not this provider's, or is to pass."""
        for dialect in self.dialects:
            call = dialect.call(method, path, body) if self._reaches(dialect, host) else None
            if call is not None:
                return self._decided(dialect, call)
        return None

    def _decided(self, dialect: Dialect, call: Call) -> Answer | Outage | None:
        with self._lock:
            self.met += 1
            call = replace(call, at=self._now(), serial=self.met)
            suited = self._suits(dialect, call)
            self._suited += suited
            # Drawn for each that it applies to, so that the choice does not depend on what else is asked for.
            chosen = suited and self.failure is not None and self._selection.takes(self._suited, self._chance.random())
            self.broken += chosen
        if chosen and isinstance(self.failure, Failure):
            return dialect.answer(self.failure, call, self._options)
        if chosen and isinstance(self.failure, Outage):
            return self.failure
        return None if self._otherwise == "pass" else dialect.healthy(call)

    def _suits(self, dialect: Dialect, call: Call) -> bool:
        if isinstance(self.failure, Failure):
            return dialect.offers(self.failure) and dialect.applies(self.failure, call)
        return True

    def _reaches(self, dialect: Dialect, host: str) -> bool:
        if self._host is not None:
            return fnmatchcase(host, self._host)
        if dialect.hosts:
            return _matches(host, dialect)
        # A server of one's own may be anywhere, but where a known provider is.
        return not any(_matches(host, known) for known in installed_dialects().values())

    def __call__(self, request: "httpx.Request") -> "httpx.Response | None":
        """As a side effect of a respx route: the response, or None for the next route to try."""
        from brownout.inprocess.play import responded  # noqa: PLC0415 - httpx is imported by those who use it

        response: httpx.Response | None = responded(self, request)
        return response

    def __enter__(self) -> Self:
        """Answer for every client in the process, until left."""
        from brownout.inprocess.interception import begin  # noqa: PLC0415 - as above

        begin(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        from brownout.inprocess.interception import end  # noqa: PLC0415 - as above

        end(self)
        if error is None and self._must_meet and not self._suited:
            raise NothingMet(self._nothing_met())

    def _nothing_met(self) -> str:
        if self.met:
            return f"{self.met} requests to {self.provider} were met, and none that {self.failure} applies to"
        hosts = sorted({host for dialect in self.dialects for host in dialect.hosts})
        where = self._host or ", ".join(hosts) or "any host that is no other provider's"
        return (
            f"no request to {self.provider} was met; it is looked for at {where}, on its own paths"
            " (give host= if yours is elsewhere), in clients of httpx, httpx2 and botocore"
        )


def provider_fault(provider: str, failure: str, **settings: Unpack[Settings]) -> ProviderFault:
    """A provider that fails in that way.

    Args:
        provider: `openai`, `azure`, `anthropic`, `gemini`, `cohere`, `bedrock`, `ollama`, `vllm`; or one of its
            dialects, such as `openai_responses`.
        failure: the name of a `Failure`, such as `rate_limited_tokens` or `stall`.
        **settings: as follows.
        host: where the provider is, if not where its dialect looks for it; with `*` as in a file name.
        first: break the first so many requests only.
        every: break every second, third, ... request only: `every=3` breaks the third, the sixth, ...
        share: break that share of the requests, above 0 and up to 1, chosen at random with `seed`.
        options: how severe the failure is.
        otherwise: the provider's other requests get a good `answer`, or `pass` to where they were going.
        must_meet: raise `NothingMet` on leaving, where no request was met that the failure applies to.
        pace: how long pauses take: `INSTANT`, or `REAL_TIME`.
        now: the time in Unix seconds, which some answers tell.

    Raises:
        InvalidInput: there is no such provider or failure, or a setting is out of range.
        NotOffered: that provider has no such failure.
    """
    names = [known.value for known in Failure]
    if failure not in names:
        raise InvalidInput(f"unknown failure {failure!r}", value=failure, allowed=names)
    return ProviderFault(provider, Failure(failure), **settings)


def provider_outage(provider: str, manner: str = "silent", **settings: Unpack[Settings]) -> ProviderFault:
    """A provider that cannot be reached.

    Args:
        provider: as for `provider_fault`.
        manner: `silent`: it never answers. `refused`: it refuses connections. `unreachable`: none is ever made.
        **settings: as for `provider_fault`.

    Raises:
        InvalidInput: there is no such provider or manner, or a setting is out of range.
    """
    names = [known.value for known in Outage]
    if manner not in names:
        raise InvalidInput(f"unknown manner {manner!r} of an outage", value=manner, allowed=names)
    return ProviderFault(provider, Outage(manner), **settings)


def healthy_provider(provider: str, **settings: Unpack[Settings]) -> ProviderFault:
    """A provider that is well: good answers, whole and streamed. It stands beside one that fails.

    Args:
        provider: as for `provider_fault`.
        **settings: `host`, `must_meet`, `now`, as for `provider_fault`.

    Raises:
        InvalidInput: there is no such provider.
    """
    return ProviderFault(provider, None, **settings)


def _matches(host: str, dialect: Dialect) -> bool:
    return any(fnmatchcase(host, pattern) for pattern in dialect.hosts)
