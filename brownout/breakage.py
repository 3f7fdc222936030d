"""The vocabulary of what can be done to a place: data, so that it can be written to the ledger before it is done.

A fault (a scenario with a name) is made of breakages; a target says which kinds it can do (`Target.capabilities`).
A new kind is one dataclass here and its doing in each target that can; the protocol does not change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal


@dataclass(frozen=True, slots=True)
class ServicePlace:
    """A service: it can be killed, paused, starved."""

    service: str

    def __str__(self) -> str:
        return self.service


@dataclass(frozen=True, slots=True)
class LinkPlace:
    """The connections that one service opens to another."""

    source: str
    destination: str

    def __str__(self) -> str:
        return f"{self.source} → {self.destination}"


Place = ServicePlace | LinkPlace


@dataclass(frozen=True, slots=True)
class Breakage:
    """Base of what can be done to a place. Durations are in seconds."""

    kind: ClassVar[str]

    def parameters(self) -> Mapping[str, float | int | str | bool | None]:
        """The breakage's own parameters, as they go into the ledger."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Kill(Breakage):
    """A service's processes are killed (SIGKILL), once. What keeps it running on that target starts it again."""

    kind: ClassVar[str] = "service.kill"


@dataclass(frozen=True, slots=True)
class Stop(Breakage):
    """A service is asked to end in an orderly way, killed if it takes longer than `grace`, and stays down."""

    kind: ClassVar[str] = "service.stop"
    grace: float


@dataclass(frozen=True, slots=True)
class Freeze(Breakage):
    """Every process of a service is stopped where it is: connections stay open, nothing moves."""

    kind: ClassVar[str] = "service.freeze"


@dataclass(frozen=True, slots=True)
class CrashLoop(Breakage):
    """A service is killed, and killed again `up_for` after each time it was started."""

    kind: ClassVar[str] = "service.crash_loop"
    up_for: float


@dataclass(frozen=True, slots=True)
class SlowStart(Breakage):
    """Whenever a service is started, that comes `delay` later than it would."""

    kind: ClassVar[str] = "service.slow_start"
    delay: float


@dataclass(frozen=True, slots=True)
class StarveCpu(Breakage):
    """A service gets no more than a `share` of one core, 0.0 to 1.0."""

    kind: ClassVar[str] = "service.starve_cpu"
    share: float
    manner: Literal["quota", "duty-cycle"] | None = None
    """`quota`: the kernel's own limit; `duty-cycle`: stopped for the rest of each 100 ms. None: what can be done."""


@dataclass(frozen=True, slots=True)
class LimitMemory(Breakage):
    """No process of a service can have `headroom` bytes of address space more than the largest of them has."""

    kind: ClassVar[str] = "service.limit_memory"
    headroom: int


@dataclass(frozen=True, slots=True)
class ExhaustFds(Breakage):
    """The processes of a service can open no more than `spare` more files or connections."""

    kind: ClassVar[str] = "service.exhaust_fds"
    spare: int = 0


@dataclass(frozen=True, slots=True)
class LimitFileSize(Breakage):
    """No process of a service can write to a file beyond its first `at_most` bytes."""

    kind: ClassVar[str] = "service.limit_file_size"
    at_most: int


@dataclass(frozen=True, slots=True)
class Blackhole(Breakage):
    """Connections are accepted; whatever is sent is dropped, and nothing ever comes back."""

    kind: ClassVar[str] = "link.blackhole"


@dataclass(frozen=True, slots=True)
class Reset(Breakage):
    """Connections, those already open included, are answered with a TCP RST."""

    kind: ClassVar[str] = "link.reset"


@dataclass(frozen=True, slots=True)
class Delay(Breakage):
    """Every chunk is held for `latency ± jitter` before it is passed on, in the direction of the answers."""

    kind: ClassVar[str] = "link.delay"
    latency: float
    jitter: float = 0.0
