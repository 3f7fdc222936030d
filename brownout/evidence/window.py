"""The slice of evidence that a probe judges."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.evidence.knowledge import Knowledge
from brownout.evidence.model import FaultSpan, Sample, Transition, Write
from brownout.evidence.requests import Requests

NOTHING = Knowledge()


@dataclass(frozen=True, slots=True)
class Window:
    """Evidence between two moments, `start <= t < end`, in seconds of the run.

    A request belongs to the window in which it was meant to be sent. `history` holds every breaker transition up to
    `end`, those before `start` included, since a state lasts until the next transition. A live window, judged twice a
    second, holds of those only the last one of each dependency.
    """

    name: str
    start: float
    end: float
    requests: Requests
    history: tuple[Transition, ...]
    samples: tuple[Sample, ...] = ()
    faults: tuple[FaultSpan, ...] = ()
    knowledge: Knowledge = NOTHING
    writes: tuple[Write, ...] = ()
    """Every document written up to `end`, those before `start` included; none in a live window."""
    baseline: "Window | None" = None
    """The steady state before the first fault, to compare with; None for that stretch itself, and in live windows."""

    @property
    def length(self) -> float:
        """Seconds."""
        return self.end - self.start

    def transitions(self, dependency: str) -> Sequence[Transition]:
        """That dependency's transitions after the window began, in order."""
        return [t for t in self.history if t.dependency == dependency and self.start < t.at < self.end]

    def state_at_start(self, dependency: str) -> str | None:
        """The state that dependency's breaker was in when the window began; None where nobody had said yet.

        A transition at that very moment counts: recorders put what happened before the run at its start.
        """
        states = [t.new for t in self.history if t.dependency == dependency and t.at <= self.start]
        return states[-1] if states else None

    def dependencies(self) -> Sequence[str]:
        """Every dependency of which a breaker was seen."""
        return sorted({t.dependency for t in self.history})
