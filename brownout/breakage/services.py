"""A service ends, stands still, or starts otherwise."""

from dataclasses import dataclass
from typing import ClassVar

from brownout.breakage.model import Breakage


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
class SkewClock(Breakage):
    """A service is restarted with a wall clock that is `seconds` ahead, and again when that ends."""

    kind: ClassVar[str] = "service.skew_clock"
    seconds: float
    """Behind, where it is negative."""
