"""The vocabulary of what can be done to a place: data, so that it can be written to the ledger before it is done.

A fault (a scenario with a name) is made of breakages; a target says which kinds it can do (`Target.capabilities`).
A new kind is one dataclass here and its doing in each target that can; the protocol does not change.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import ClassVar, Literal

Direction = Literal["both", "to", "from"]
Course = Literal["steady", "ramp", "square", "random"]
"""How strong something is in the course of time."""


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
class Reach:
    """Whom a breakage hits at most, as far as it can say so itself: everybody who comes by, where it says nothing."""

    traffic: float = 1.0
    """Share of the requests at its place, 0.0 to 1.0."""
    tenant: str | None = None
    """The one whose requests it hits; None is everybody."""
    pods: Literal["one", "all", "others"] = "one"
    """At a service: the replica at its place; all replicas of that service; or those of others as well."""


@dataclass(frozen=True, slots=True)
class Breakage:
    """Base of what can be done to a place. Durations are in seconds."""

    kind: ClassVar[str]
    http: ClassVar[bool] = False
    """Whether it is of requests, so that only a link which carries HTTP can be broken so."""
    by_name: ClassVar[bool] = False
    """Whether it is of a host name, so that only a link whose destination is found by one can be broken so."""
    disk: ClassVar[bool] = False
    """Whether it is of a disk, so that only a service with one of its own can be broken so."""

    @property
    def capability(self) -> str:
        """What a target must be able to do for it: its kind, or one manner of it."""
        return self.kind

    @property
    def reach(self) -> Reach:
        """Whom it hits at its place."""
        return Reach()

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
class Disconnect(Breakage):
    """A service is taken off the network, with its connections: what is sent to it is lost, and nobody says so."""

    kind: ClassVar[str] = "service.disconnect"


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

    @property
    def capability(self) -> str:
        return self.kind if self.manner is None else f"{self.kind}.{self.manner}"


@dataclass(frozen=True, slots=True)
class CapMemory(Breakage):
    """Of a service that takes `headroom` bytes more than it has, the kernel kills a process."""

    kind: ClassVar[str] = "service.cap_memory"
    headroom: int


@dataclass(frozen=True, slots=True)
class LimitMemory(Breakage):
    """No process of a service can have `headroom` bytes of address space more than the largest of them has."""

    kind: ClassVar[str] = "service.limit_memory"
    headroom: int


@dataclass(frozen=True, slots=True)
class ExhaustGpuMemory(Breakage):
    """Of the memory of the GPU on which a service works, `leave` bytes are left; without one, of its host memory."""

    kind: ClassVar[str] = "service.exhaust_gpu_memory"
    leave: int
    memory: Literal["gpu", "host"] | None = None
    """None: the GPU's where there is one."""
    device: int = 0
    """By CUDA's number, as the service counts."""

    @property
    def capability(self) -> str:
        return f"{self.kind}.gpu" if self.memory == "gpu" else self.kind


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
class FillDisk(Breakage):
    """Of the disk that a service writes to, `leave` bytes are left."""

    kind: ClassVar[str] = "service.fill_disk"
    disk: ClassVar[bool] = True
    leave: int = 0


@dataclass(frozen=True, slots=True)
class SlowDisk(Breakage):
    """A service reads and writes no more than `rate` bytes per second, each way."""

    kind: ClassVar[str] = "service.slow_disk"
    rate: int


@dataclass(frozen=True, slots=True)
class SkewClock(Breakage):
    """A service is restarted with a wall clock that is `seconds` ahead, and again when that ends."""

    kind: ClassVar[str] = "service.skew_clock"
    seconds: float
    """Behind, where it is negative."""


@dataclass(frozen=True, slots=True)
class Evict(Breakage):
    """A pod is asked to go by way of the eviction API, which a PodDisruptionBudget may refuse."""

    kind: ClassVar[str] = "service.evict"


@dataclass(frozen=True, slots=True)
class RolloutRestart(Breakage):
    """A service's pods are replaced, as its own rollout strategy says."""

    kind: ClassVar[str] = "service.rollout_restart"

    @property
    def reach(self) -> Reach:
        return Reach(pods="all")


@dataclass(frozen=True, slots=True)
class ScaleToZero(Breakage):
    """A service has no pods, and in the end as many as before."""

    kind: ClassVar[str] = "service.scale_to_zero"

    @property
    def reach(self) -> Reach:
        return Reach(pods="all")


@dataclass(frozen=True, slots=True)
class Drain(Breakage):
    """A node that a service runs on takes no pods any more, and those that it has are evicted."""

    kind: ClassVar[str] = "service.drain"

    @property
    def reach(self) -> Reach:
        return Reach(pods="others")


@dataclass(frozen=True, slots=True)
class FailImagePull(Breakage):
    """A service is rolled out with an image that there is not."""

    kind: ClassVar[str] = "service.image_pull_failure"

    @property
    def reach(self) -> Reach:
        return Reach(pods="all")


@dataclass(frozen=True, slots=True)
class FailReadiness(Breakage):
    """A service is rolled out so that none of its new pods is ever ready."""

    kind: ClassVar[str] = "service.bad_readiness"

    @property
    def reach(self) -> Reach:
        return Reach(pods="all")


@dataclass(frozen=True, slots=True)
class SetMemoryLimit(Breakage):
    """A service is rolled out with a memory limit of `limit` bytes a pod."""

    kind: ClassVar[str] = "service.memory_limit"
    limit: int

    @property
    def reach(self) -> Reach:
        return Reach(pods="all")


@dataclass(frozen=True, slots=True)
class DeleteDocuments(Breakage):
    """A service is asked to delete documents, and to take them back in the end."""

    kind: ClassVar[str] = "data.delete_documents"
    documents: str
    """Their ids, with `*` and `?` as in a file name."""


@dataclass(frozen=True, slots=True)
class CorruptVectors(Breakage):
    """In a service that keeps documents' vectors, those of some are overwritten; their texts stay as they are."""

    kind: ClassVar[str] = "data.corrupt_vectors"
    documents: str
    """Their ids, with `*` and `?` as in a file name."""
    manner: Literal["noise", "scaled"] = "noise"
    """`noise`: of the right length, in a direction of no meaning; `scaled`: in the right direction, three times as
    long."""


@dataclass(frozen=True, slots=True)
class Blackhole(Breakage):
    """Connections are accepted; whatever is sent is dropped, and nothing ever comes back."""

    kind: ClassVar[str] = "link.blackhole"
    direction: Direction = "both"
    """One way: `to` the destination or `from` it; the other way data still flows."""
    cycle: float = 0.0
    """The link comes and goes: broken for the first half of each cycle, whole for the second. At 0 it is all broken."""

    @property
    def capability(self) -> str:
        if self.cycle:
            return f"{self.kind}.cycle"
        return self.kind if self.direction == "both" else f"{self.kind}.one-way"


@dataclass(frozen=True, slots=True)
class Reset(Breakage):
    """Connections, those already open included, are answered with a TCP RST."""

    kind: ClassVar[str] = "link.reset"
    cycle: float = 0.0
    """As for a `Blackhole`."""

    @property
    def capability(self) -> str:
        return f"{self.kind}.cycle" if self.cycle else self.kind


@dataclass(frozen=True, slots=True)
class Delay(Breakage):
    """Every chunk is held for `latency ± jitter` before it is passed on, in the direction of the answers."""

    kind: ClassVar[str] = "link.delay"
    latency: float
    jitter: float = 0.0
    course: Course = "steady"
    """`ramp`: the latency grows from 0 in one period; `square`: it is on for half a period and off for the other half;
    `random`: it is drawn evenly from between 0 and `latency`, anew for each period."""
    period: float = 0.0
    seed: int = 0
    """Of a random course."""

    @property
    def capability(self) -> str:
        return self.kind if self.course == "steady" else f"{self.kind}.{self.course}"


@dataclass(frozen=True, slots=True)
class Throttle(Breakage):
    """Each connection gets `rate` bytes per second in each direction."""

    kind: ClassVar[str] = "link.throttle"
    rate: float


@dataclass(frozen=True, slots=True)
class SlowClose(Breakage):
    """That one side has closed a connection is told to the other side after `delay`."""

    kind: ClassVar[str] = "link.slow_close"
    delay: float


@dataclass(frozen=True, slots=True)
class Slice(Breakage):
    """Answers arrive in pieces of `size ± variation` bytes, with a pause of `delay` after each."""

    kind: ClassVar[str] = "link.slice"
    size: int
    variation: int = 0
    delay: float = 0.0


@dataclass(frozen=True, slots=True)
class Truncate(Breakage):
    """A connection is closed once it has carried `after` bytes of answers."""

    kind: ClassVar[str] = "link.truncate"
    after: int


@dataclass(frozen=True, slots=True)
class Corrupt(Breakage):
    """In a share of all bytes of answers, 0.0 to 1.0, one bit is flipped."""

    kind: ClassVar[str] = "link.corrupt"
    share: float
    seed: int | None = None
    """With a seed the same bits flip in every connection; without one, chance is the target's."""


@dataclass(frozen=True, slots=True)
class DropConnections(Breakage):
    """Open connections are reset; of the new ones the `first` are, too, and every one whose number `every` divides."""

    kind: ClassVar[str] = "link.drop_connections"
    first: int = 0
    every: int = 0


@dataclass(frozen=True, slots=True)
class StallTls(Breakage):
    """New TCP connections are made, but the TLS handshake on them is never answered. What is not TLS passes."""

    kind: ClassVar[str] = "link.tls_stall"


@dataclass(frozen=True, slots=True, kw_only=True)
class FailDns(Breakage):
    """The name by which a link's source finds its destination does not resolve, or not to where it should."""

    kind: ClassVar[str] = "link.dns_failure"
    by_name: ClassVar[bool] = True
    answer: Literal["nxdomain", "servfail", "timeout", "refused", "wrong-address", "slow"]
    """`slow` is the right one; `timeout` is none."""
    delay: float = 0.0
    """By which it comes late."""
    drain: bool = True
    """Open connections are closed as soon as no request is under way on them, so that the name is asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFailure(Breakage):
    """An LLM provider fails, in its own words, on some requests or on all of them: see `brownout.dialect`."""

    kind: ClassVar[str] = "link.provider_failure"
    http: ClassVar[bool] = True
    provider: str
    """Or one of its dialects."""
    failure: str
    """The name of a `brownout.dialect.Failure`; or `silent`: nothing comes, and after `delay` the connection closes."""
    retry_after: float = 20.0
    after: int = 3
    delay: float = 30.0
    gap: float = 2.0
    factor: int = 100
    answering: str | None = None
    """These five are what `brownout.dialect.Options` says; the last one is its `model`."""
    first: int | None = None
    every: int | None = None
    share: float | None = None
    """These three are what `brownout.dialect.Selection` says."""
    seed: int | None = None
    """With a seed the same requests are taken, by their order, in every run; without one, chance is the target's."""
    path: str | None = None
    header: str | None = None
    model: str | None = None
    tenant: str | None = None
    """Only requests to that path, with that header (`name`, or `name: value`), for that model, of that tenant; all with
    `*` as in a file name."""

    @property
    def reach(self) -> Reach:
        """A share of the requests, of one tenant's. How many `first` are of all that will come, nobody knows."""
        named = self.tenant is not None and not set(self.tenant) & set("*?[")
        return Reach((self.share or 1.0) / (self.every or 1), self.tenant if named else None)
