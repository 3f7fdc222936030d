"""What only a service can meet whose replicas are pods of a cluster."""

from dataclasses import dataclass
from typing import ClassVar

from brownout.breakage.model import Breakage, Reach


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
