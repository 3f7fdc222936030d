"""What a target is given, and what it says of itself."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from brownout.api import CHAT, Api
from brownout.errors import BrownoutError


@dataclass(frozen=True, slots=True)
class Setting:
    """One thing that an experiment may set on the system under test (`settings:` or `--set`)."""

    name: str
    type: Literal["switch", "duration", "number", "integer", "share", "text"]
    default: str
    doc: str


@dataclass(frozen=True, slots=True)
class TargetOptions:
    """How a target is to be brought up."""

    seed: int
    scale: float
    """Multiplies the system's own timers, as it multiplies the run's durations."""
    settings: Mapping[str, str | float | int | bool] = field(default_factory=dict)
    """Durations in seconds, shares as 0..1."""
    ports: Mapping[str, int] = field(default_factory=dict)
    """Fixed ports by service, for those who want to look around; every other port is the system's choice."""
    workdir: Path = Path()
    """A private folder for logs and control files; kept with the run."""


@dataclass(frozen=True, slots=True)
class Caller:
    """One identity that the load may take on."""

    tenant: str
    tier: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class Door:
    """Where the load goes in."""

    url: str
    """Base URL, to which the API's path is added: for an OpenAI-compatible one without `/v1`."""
    callers: tuple[Caller, ...]
    api: Api = CHAT
    """How questions are put there."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question of a question set."""

    id: str
    tenant: str
    text: str = field(repr=False)
    sources: tuple[str, ...] | None = None
    """Ids of the documents that hold the answer, empty where none does; None where that is not known."""
    facts: tuple[str, ...] = field(default=(), repr=False)
    """What a right answer says, word for word."""


@dataclass(frozen=True, slots=True)
class Document:
    """One document that the system was given."""

    id: str
    tenant: str
    text: str = field(repr=False)


class NotAcknowledged(BrownoutError):
    """A document was not taken; the message is the error's code or class, never anything of the document."""


@dataclass(frozen=True, slots=True)
class BreakerGauge:
    """A Prometheus gauge that tells the state of each circuit breaker."""

    metric: str
    label: str
    """That names whose breaker it is."""
    states: Mapping[float, Literal["closed", "open", "half-open"]]
    """By its values."""


@dataclass(frozen=True, slots=True)
class Source:
    """Something to record while the run lasts."""

    kind: Literal["prometheus", "breaker-events"]
    name: str
    """The service that says it."""
    url: str
    token: str | None = field(default=None, repr=False)
    breakers: BreakerGauge | None = None
    """Of `prometheus`: what of it tells the breakers' states, where no `breaker-events` do."""
