"""A target is services and links. Embedded processes, containers and pods are three implementations of this protocol.

A target does primitives only: it injects and heals one breakage at one place, under a lease. Ledger rows, lease renewal
and timing are the core's (`brownout.injection`), the same for every target.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol, runtime_checkable

from brownout.api import CHAT, Api
from brownout.attachment import Attachment
from brownout.breakage import Breakage, Place
from brownout.errors import BrownoutError
from brownout.evidence.model import Proof
from brownout.system import Topology

if TYPE_CHECKING:
    from brownout.load.remote import Remote

Say = Callable[[str], None]
"""Tells the user what is being done, one short phrase at a time."""


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


class Target(Protocol):
    """A running system that can be broken. Made by a `TargetFactory`; every method but `topology` needs `up` first."""

    @property
    def topology(self) -> Topology: ...

    async def up(self, options: TargetOptions, say: Say) -> None:
        """Bring the system up, load its data, and return when it is ready and warm.

        Raises:
            EnvironmentProblem: this machine cannot (a port in use, a missing package); nothing is left behind.
        """

    async def down(self) -> None:
        """End everything that `up` started. Does nothing the second time."""

    def door(self) -> Door: ...

    def questions(self, name: str) -> Sequence[Question]: ...

    def sources(self) -> Sequence[Source]: ...

    async def inject(self, place: Place, breakage: Breakage, *, lease: str, ttl: float) -> None:
        """Break a place, under a lease of `ttl` seconds, which ends the breakage where it acts unless renewed.

        Raises:
            FaultError: it could not be done; then nothing of it is left.
        """

    async def renew(self, lease: str, *, ttl: float) -> None:
        """Raises `FaultError` where the lease is no more."""

    async def heal(self, place: Place, breakage: Breakage, *, lease: str) -> None:
        """End a breakage. Healing what is already healed is no error, nor is a victim that has gone meanwhile."""

    async def prove(self, place: Place, breakage: Breakage, *, lease: str) -> Proof:
        """What was counted at that place since `inject`; called just before `heal`."""

    async def counters(self) -> Sequence[LinkCounters]: ...

    async def services(self) -> Sequence[ServiceState]:
        """The state of every service; nothing where the target does not know."""

    async def usage(self) -> ProcessUsage: ...

    async def watch(self) -> None:
        """Return never, unless cancelled: see that whatever `up` started on *our* side goes on (the fault proxy, a
        supervisor), as opposed to the system under test.

        Raises:
            EnvironmentProblem: a part of ours ended; the run's evidence is worth nothing from then on.
        """

    def recovery(self) -> Mapping[str, Any]:
        """What another process needs in order to undo all this after our death: JSON, without secrets."""


@runtime_checkable
class KnowsDocuments(Protocol):
    """A target that knows what documents the system holds; without it neither faithfulness nor isolation is judged."""

    def documents(self) -> Sequence[Document]: ...


@runtime_checkable
class TakesDocuments(Protocol):
    """A target that documents can be stored in while it runs; without it no experiment writes any."""

    async def store(self, document: Document) -> None:
        """Return when the system has acknowledged it.

        Raises:
            NotAcknowledged: it refused, or did not answer.
        """

    async def stored(self) -> Sequence[str]:
        """The id of every document that the system holds, as often as it holds it.

        Raises:
            NotAcknowledged: it does not tell.
        """


@runtime_checkable
class HasPlatform(Protocol):
    """A target whose services are run by something that tells more of them than their states."""

    async def readings(self) -> Sequence[Reading]:
        """Its figures, now. Raises `OSError` or `BrownoutError` where they cannot be read."""

    async def happenings(self) -> Sequence[Happening]:
        """What happened since the last call, each once; waits for it, a second at most. Raises as `readings` does, and
        then the next call has what this one would have told."""


class TargetFactory(Protocol):
    """What the entry point group `brownout.targets` registers."""

    name: str
    """As it is registered."""

    def __call__(self) -> Target: ...

    def check(self) -> Sequence[str]:
        """What this machine lacks for the target, in plain words; empty where it can be used."""

    def settings(self) -> Mapping[str, Setting]:
        """What may be set on the system under test; empty where there is nothing."""

    def topology_of(self, settings: Mapping[str, str | float | int | bool]) -> Topology:
        """What the target consists of with these settings, which are as in `TargetOptions.settings`."""

    async def undo(self, recovery: Mapping[str, Any]) -> Sequence[str]:
        """Undo what a dead run left behind, from what `Target.recovery` said; tells what it did."""


@runtime_checkable
class LoadsFromElsewhere(Protocol):
    """A target that may have the load put on from another place than this process."""

    def load_from(self) -> "Remote | None":
        """Where that is; None where it is this process after all."""


@runtime_checkable
class TakesDescriptions(Protocol):
    """A registered target that is one of many: each is described in a file."""

    def of(self, path: Path) -> TargetFactory:
        """The target that the file describes.

        Raises:
            InvalidInput: the file cannot be read, or something in it is wrong.
        """


@runtime_checkable
class ChoosesProxy(Protocol):
    """A registered target whose links can go through one of several proxies."""

    proxies: tuple[str, ...]
    """Their names; it is the first unless another one is asked for."""

    def through(self, proxy: str) -> TargetFactory:
        """The same target, with its links through that one of `proxies`."""


@runtime_checkable
class Attaches(Protocol):
    """A registered target that is somebody's running system, which is said anew for each run."""

    def to(self, attachment: Attachment) -> TargetFactory:
        """The target that is meant.

        Raises:
            InvalidInput: something that it needs is not said, or wrong.
        """


@runtime_checkable
class Rehearses(Protocol):
    """A target that can say what it would do, and ask the system itself whether it could, without doing it."""

    async def rehearse(self, steps: Sequence[tuple[Place, Breakage]], say: Say) -> None:
        """Tell of every step what would be done.

        Raises:
            BrownoutError: it could not be.
        """


@runtime_checkable
class Prepares(Protocol):
    """A target that has to get ready for some breakages, which would come late otherwise."""

    async def prepare(self, place: Place, breakage: Breakage, say: Say) -> None:
        """Get ready for it, before the load is on; nothing is broken yet. `down` undoes it.

        Raises:
            FaultError: it could not be done to the system as it is.
        """


@dataclass(frozen=True, slots=True)
class CompiledStep:
    """One breakage of an experiment, to be said to somebody else who does it."""

    name: str
    """For the object that it becomes: lower-case letters, digits and `-`."""
    duration: float
    place: Place
    breakage: Breakage


@runtime_checkable
class CompilesTo(Protocol):
    """A target whose faults another engine can do."""

    async def compiled(self, to: str, steps: Sequence[CompiledStep]) -> Sequence[Mapping[str, Any]]:
        """What that engine is told, one object for each, in order.

        Raises:
            BrownoutError: it knows no such engine, or that one cannot be told this.
        """


@runtime_checkable
class KeepsLedger(Protocol):
    """A target whose faults are written down where they act as well, so that anybody can heal them from anywhere."""

    async def heal_lapsed(self, *, force: bool) -> Sequence[str]:
        """Undo every fault that nobody renews, with `force` those that somebody does; tells what it did.

        Raises:
            BrownoutError: something could not be undone.
        """


@runtime_checkable
class IsDescribed(Protocol):
    """A target factory made from a description."""

    @property
    def description(self) -> str:
        """Its text without secrets; kept with the run."""
