"""What the experiment asks for, as far as the timeline can show it: limits of latency, and deadlines of breakers."""

from dataclasses import dataclass

from brownout.evidence.recording import Recording
from brownout.experiment import Check, Experiment
from brownout.judge import windows
from brownout.units import format_seconds


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit of the time to first token, over a stretch of the run."""

    start: float
    end: float
    quantile: str
    """`p95`."""
    seconds: float

    def __str__(self) -> str:
        return f"{self.quantile} {format_seconds(self.seconds)}"


@dataclass(frozen=True, slots=True)
class Deadline:
    """By when a breaker was to be in a state."""

    dependency: str
    state: str
    at: float


def limits(experiment: Experiment, recording: Recording, *, end: float) -> list[Limit]:
    """Over each window that the checks are judged on, the limit that they state for the time to first token, if any."""
    cut = windows(experiment, recording, end=end)
    stated = (
        (cut["steady-state before"], experiment.steady_state),
        (cut["during"], experiment.during),
        (cut["after"], (*experiment.after, *experiment.steady_state)),
    )
    found = []
    for window, checks in stated:
        limit = next(filter(None, map(_limit, checks)), None)
        if window is not None and limit is not None:
            found.append(Limit(window.start, window.end, *limit))
    return found


def _limit(check: Check) -> tuple[str, float] | None:
    prefix = {"ttft": "", "recovered": "ttft_"}.get(check.probe)
    for name in ("p95", "p99", "p90", "p50") if prefix is not None else ():
        value = check.arguments.get(f"{prefix}{name}")
        if isinstance(value, int | float):
            return name, float(value)
    return None


def deadlines(experiment: Experiment, recording: Recording, *, end: float) -> list[Deadline]:
    """When each breaker that was to move in time was to have done so at the latest."""
    cut = windows(experiment, recording, end=end)
    found = []
    for window, checks in ((cut["during"], experiment.during), (cut["after"], experiment.after)):
        for check in checks if window is not None else ():
            name, state, within = (check.arguments.get(key) for key in ("dependency", "becomes", "within"))
            if (
                check.probe == "breaker"
                and state is not None
                and isinstance(within, int | float)
                and window is not None
            ):
                found.append(Deadline(str(name), str(state), window.start + within))
    return found
