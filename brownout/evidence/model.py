"""What a run records: plain, immutable rows. Times are seconds since the run's start unless a name says otherwise."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Outcome = Literal["ok", "error", "timeout", "cut", "refused", "pending"]
"""How a request ended.

`ok` a complete answer · `error` an error answer, or an error event in the stream · `timeout` the client gave up ·
`cut` the stream stopped without its end mark · `refused` no connection · `pending` not over yet (live windows only).
"""


@dataclass(frozen=True, slots=True)
class Request:
    """One question asked, timed from when it was *meant* to be sent (no coordinated omission)."""

    id: int
    intended: float
    sent: float
    first_token: float | None
    """Of an answer that was not streamed: when it was there."""
    done: float | None
    """When it ended, however it ended; None only while it is pending."""
    outcome: Outcome
    status: int | None
    """HTTP status, or None where no answer began."""
    error: str | None
    """The error's code or class; never a prompt or an answer."""
    error_source: str | None
    """`provider`, `own_system` or `rate_limit`, as the stack says."""
    question: str
    tenant: str
    tier: str
    policy: str
    stream: bool
    load: str | None = None
    """The stream of load that it belongs to; None where that has no name."""
    retry_after: float | None = None
    """Seconds after which it may be tried again, as the answer says."""
    request_id: str | None = None
    model: str | None = None
    provider: str | None = None
    """Who wrote the answer, as it says; of an answer from a cache, who wrote it then."""
    level: int | None = None
    """Degradation level as the answer disclosed it; None where it disclosed none."""
    retrieval: str | None = None
    retrieval_quality: str | None = None
    cache_used: bool | None = None
    cache_age: float | None = None
    """Seconds."""
    warnings: tuple[str, ...] = ()
    citations: tuple[str, ...] = ()
    claims: int | None = None
    """Statements that the answer cites a document for; None where nobody looked."""
    claims_supported: int | None = None
    """Those of them that the cited document makes."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    tpot: float | None = None
    """Mean seconds between output tokens after the first."""
    cost: float | None = None
    """US dollars."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Calls made to each dependency for this one question."""

    @property
    def ttft(self) -> float | None:
        """Seconds from the intended send time to the first token."""
        return None if self.first_token is None else self.first_token - self.intended

    @property
    def total(self) -> float | None:
        """Seconds from the intended send time to the end."""
        return None if self.done is None else self.done - self.intended


WriteOutcome = Literal["acknowledged", "refused", "timeout", "unanswered"]
"""How storing a document ended.

`acknowledged` the system said that it is stored · `refused` it said that it is not, or nothing · `timeout` the client
gave up · `unanswered` the run ended first. Of the last three nobody knows whether it was stored.
"""


@dataclass(frozen=True, slots=True)
class Write:
    """One document that was stored while the run lasted."""

    number: int
    document: str
    """Its id, and the id of the question that is asked about it."""
    tenant: str
    intended: float
    sent: float
    done: float
    outcome: WriteOutcome
    error: str | None = None
    """The error's code or class."""
    copies: int | None = None
    """How many of it the system held at the end of the run; None where nobody counted."""


@dataclass(frozen=True, slots=True)
class Transition:
    """A circuit breaker changed state. `old` is None for the state in which it was first seen."""

    at: float
    dependency: str
    old: str | None
    new: str
    """`closed`, `open` or `half-open`."""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of one metric series."""

    at: float
    source: str
    """Who said it: a service's name, `proxy`, `target`, `host`, `nvml`, `prometheus`, `cross-check`."""
    metric: str
    """Its name; of `prometheus`: the query that it answers."""
    labels: tuple[tuple[str, str], ...]
    value: float


@dataclass(frozen=True, slots=True)
class KnownDocument:
    """A document that the system was given, and whose it is."""

    id: str
    tenant: str


@dataclass(frozen=True, slots=True)
class KnownQuestion:
    """A question whose answer is known."""

    id: str
    tenant: str
    sources: tuple[str, ...]
    """Documents that hold the answer; empty where none does, and the right answer is to say so."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What was counted where a fault was injected, while it was on."""

    works: bool
    """Whether the figures show that the fault really was on."""
    summary: str
    """One sentence with the figures, for the report."""
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class FaultSpan:
    """A fault of the method, from when it was really on until it was really off."""

    index: int
    fault: str
    title: str
    on: float
    off: float | None = None
    """None while it is on."""
    proof: Proof | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """Something worth a mark on the timeline: a phase, an abort, a recorder that failed."""

    at: float
    kind: str
    """`phase`, `abort`, `error`, `note`; `warning`, as the platform says it that runs the services, and `platform`,
    whatever else that says."""
    text: str
