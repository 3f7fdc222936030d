"""A toxic whose strength changes with time: it grows, it comes and goes, or nobody knows."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from random import Random

from brownout.proxy.scheduler import Scheduler, Timer

SHORTEST_MS = 20
"""No schedule changes more often, since each change visits every connection of its proxy."""
_RAMP_STEP_MS = 50


class Shape(StrEnum):
    """How the strength moves between two values."""

    RAMP = "ramp"
    """Evenly from the one to the other in one period, and stays there."""
    SQUARE = "square"
    """The other for half a period, the one for the second half, and so on."""
    RANDOM = "random"
    """Drawn evenly from between the two, anew for each period."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Schedule:
    """What a value is at each moment, by milliseconds since the toxic was made. Pure."""

    shape: Shape
    of: str
    """Whose value: that of an attribute of the toxic, or of its `toxicity`."""
    start: float
    end: float
    period_ms: int
    seed: int = 0

    def __post_init__(self) -> None:
        if self.period_ms < SHORTEST_MS:
            msg = f"the period of a schedule must be {SHORTEST_MS} ms at least"
            raise ValueError(msg)

    def value(self, elapsed_ms: int) -> float:
        """The value at that moment."""
        match self.shape:
            case Shape.RAMP:
                return self.start + (self.end - self.start) * min(1.0, elapsed_ms / self.period_ms)
            case Shape.SQUARE:
                return self.end if elapsed_ms % self.period_ms < self.period_ms // 2 else self.start
            case Shape.RANDOM:
                # By period, and not from one generator: the value depends on nothing but seed and moment.
                draw = Random(f"{self.seed}/{elapsed_ms // self.period_ms}")  # noqa: S311 - chance, not secrets
                return draw.uniform(self.start, self.end)

    def next_change(self, elapsed_ms: int) -> int | None:
        """The first moment after that one at which the value is another; None where it stays as it is."""
        into = elapsed_ms % self.period_ms
        match self.shape:
            case Shape.RAMP:
                left = self.period_ms - elapsed_ms
                return None if left <= 0 else elapsed_ms + min(left, _RAMP_STEP_MS)
            case Shape.SQUARE:
                half = self.period_ms // 2
                return elapsed_ms - into + (half if into < half else self.period_ms)
            case Shape.RANDOM:
                return elapsed_ms - into + self.period_ms

    def to_json(self) -> dict[str, object]:
        """As the API takes it."""
        return {
            "shape": self.shape.value,
            "of": self.of,
            "from": self.start,
            "to": self.end,
            "period": self.period_ms,
            "seed": self.seed,
        }


class Play:
    """A schedule under way: sets the value whenever it changes, from now on until it is stopped."""

    def __init__(self, schedule: Schedule, scheduler: Scheduler, set_value: Callable[[float], None]) -> None:
        self._schedule = schedule
        self._scheduler = scheduler
        self._set = set_value
        self._begun = scheduler.now()
        self._timer: Timer | None = None
        self._step(0)

    def stop(self) -> None:
        """Change nothing any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _step(self, elapsed_ms: int) -> None:
        # By the moment meant, not by the clock: being woken late does not move the changes that follow.
        self._set(self._schedule.value(elapsed_ms))
        at = self._schedule.next_change(elapsed_ms)
        self._timer = None if at is None else self._scheduler.call_at(self._begun + at / 1000, lambda: self._step(at))
