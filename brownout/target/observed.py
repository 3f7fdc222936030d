"""What a target tells of what goes on in it."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class LinkCounters:
    """What went over one link since it was made. Bytes and events, never decreasing."""

    link: tuple[str, str]
    connections: int
    upstream_bytes: int
    """Forwarded from source to destination."""
    downstream_bytes: int
    """Forwarded from destination to source."""
    swallowed_bytes: int
    resets: int
    delayed_chunks: int
    requests: int = 0
    """HTTP requests, on a link that carries them; those that a fault answered included."""


@dataclass(frozen=True, slots=True)
class ServiceState:
    """How one service is doing."""

    name: str
    pid: int | None
    """None where it has no process, or where that has no meaning."""
    up: bool
    """Whether it has a process that is not paused."""
    ready: bool
    """Whether it answers as it should."""
    restarts: int
    """How often it was started again since the target came up."""
    since: float
    """When it was last started, or ended: Unix time, seconds."""


@dataclass(frozen=True, slots=True)
class Reading:
    """One figure of the platform that runs the services, as it is now."""

    metric: str
    labels: tuple[tuple[str, str], ...]
    """`service` among them."""
    value: float


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that the platform did, or says."""

    at: float
    """Unix time, seconds."""
    kind: Literal["note", "warning", "platform"]
    """As of `Event`."""
    text: str


@dataclass(frozen=True, slots=True)
class ProcessUsage:
    """What the target's own processes take, all together."""

    processes: int
    memory: int
    """Bytes, shared pages counted once where the system can tell (PSS), else resident set sizes added up."""
