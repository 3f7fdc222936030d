"""The experiment, read and checked: what the rest of Brownout works on. `brownout.reader` makes it from a file."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from brownout.errors import Location
from brownout.units import Duration, Latency, Rate

Block = Literal["steady-state before", "during", "after", "steady-state after", "abort"]
"""Where a check stands. Steady state is judged twice: before the method and at the end of the run."""

DEFAULT_RECOVERY = Duration(30.0)
"""How long a run goes on after the last fault where the file states no `duration`."""
DEFAULT_ABORT_WINDOW = Duration(5.0)
"""Length of the rolling window of an abort condition that states no `over`."""
SHORTEST_LOOK = Duration(1.0)
"""Less than this before the first fault, after the last one, or in a rolling window, and there is nothing to see."""


@dataclass(frozen=True, slots=True)
class Load:
    """One stream of open-loop load: requests are sent when they are due, however slow the answers are."""

    rate: Rate = Rate(20.0)
    arrivals: Literal["poisson", "constant"] = "poisson"
    questions: str = "golden"
    stream: bool = True
    policy: str = "balanced"
    timeout: Latency = Latency(30.0)
    """After which the client gives up on an answer."""
    name: str | None = None
    """By which the evidence and checks know the stream; None of one that is alone."""
    tier: str | None = None
    """Only callers of this tier ask; those of any where None."""
    tenant: str | None = None
    """Only callers of this tenant ask."""
    at: Duration = Duration(0.0)
    """When the stream begins, from the start of the run."""
    for_: Duration | None = None
    """How long it lasts; until the end of the run where None."""
    deadline: Latency | None = None
    """What the client says of its patience, in the header `X-Request-Timeout-Ms`; nothing where None."""

    @property
    def end(self) -> float:
        """In seconds of the run; infinite where it lasts until the run's end."""
        return math.inf if self.for_ is None else self.at + self.for_

    @property
    def is_spike(self) -> bool:
        """Whether it comes while the run lasts, and goes again."""
        return self.at > 0 and self.for_ is not None

    @property
    def title(self) -> str:
        """For people: `load spike: 10/s of tier free`."""
        name = "load" if self.name is None else f"load {self.name}"
        callers = [f"{kind} {value}" for kind, value in (("tier", self.tier), ("tenant", self.tenant)) if value]
        return f"{name}: {self.rate:g}/s" + (f" of {' and '.join(callers)}" if callers else "")


WRITES = "writes"
"""The stream that the questions about written documents are."""


@dataclass(frozen=True, slots=True)
class Writes:
    """Documents that are stored while the run lasts, open loop, each asked for as soon as it is acknowledged."""

    rate: Rate = Rate(2.0)
    timeout: Latency = Latency(10.0)
    """After which the client gives up on an acknowledgement."""


@dataclass(frozen=True, slots=True)
class Step:
    """One fault of the method."""

    index: int
    fault: str
    arguments: Mapping[str, object]
    """By Python name, parsed."""
    at: Duration
    """From the start of the run."""
    for_: Duration
    title: str
    """For people: `partition gateway → vector-db`."""
    location: Location
    scaled: frozenset[str] = frozenset()
    """Names of the arguments that are `Duration`s."""

    @property
    def end(self) -> Duration:
        return Duration(self.at + self.for_)


@dataclass(frozen=True, slots=True)
class Check:
    """One probe with its arguments."""

    probe: str
    arguments: Mapping[str, object]
    """By Python name, parsed."""
    title: str
    """For people, as it stands in the file: `availability: at-least 99%`."""
    location: Location
    over: Duration = DEFAULT_ABORT_WINDOW
    """Abort conditions only: length of the rolling window. Never scaled: a system collapses at its own pace."""
    scaled: frozenset[str] = frozenset()
    """Names of the arguments that are `Duration`s."""


@dataclass(frozen=True, slots=True)
class Experiment:
    """One failure scenario and what is expected of the system in it."""

    title: str
    hypothesis: str
    tags: tuple[str, ...]
    load: tuple[Load, ...]
    """One or more streams."""
    duration: Duration
    steady_state: tuple[Check, ...]
    method: tuple[Step, ...]
    during: tuple[Check, ...]
    after: tuple[Check, ...]
    abort: tuple[Check, ...]
    target: str | None
    settings: Mapping[str, str | float | int | bool]
    """For the system under test; as written, checked against the target's own list by `brownout.fit.fit`."""
    file: str
    source: str = field(repr=False)
    """The file's text, as it was read."""
    writes: Writes | None = None
    locations: Mapping[str, Location] = field(default_factory=dict, repr=False)
    """Where keys stand that are checked later: `target`, `writes`, `load.0.policy` (by the stream's number),
    `settings.NAME`."""

    @property
    def spikes(self) -> tuple[Load, ...]:
        """Of an experiment without faults the streams that come and go: each is judged as a fault would be."""
        return () if self.method else tuple(one for one in self.load if one.is_spike)

    @property
    def disturbances(self) -> tuple[Step | Load, ...]:
        """What the system has to withstand: the faults; where there are none, the spikes."""
        return (*self.method, *self.spikes)

    @property
    def first_fault(self) -> Duration:
        """When the steady state must have been seen: the first fault's start, or half of a run without any."""
        return min((one.at for one in self.disturbances), default=Duration(self.duration / 2))

    @property
    def last_heal(self) -> Duration:
        """When the last fault ends, or half of a run without any."""
        return Duration(max((one.end for one in self.disturbances), default=self.duration / 2))

    @property
    def final_window(self) -> Duration:
        """Length of the last stretch of the run, in which the steady state is judged again.

        As long as the first one, but at most half of what follows the last heal, so that recovery has its time.
        """
        return Duration(min(self.first_fault, (self.duration - self.last_heal) / 2))

    def offered(self, *, load: str | None = None, tier: str | None = None) -> Sequence[Load]:
        """All streams of questions, those about written documents included.

        With `load`, this one alone; with `tier`, those that this tier may be among the callers of.
        """
        about_writes = () if self.writes is None else (Load(rate=self.writes.rate, name=WRITES),)
        return [
            one
            for one in (*self.load, *about_writes)
            if load in (None, one.name) and (tier is None or one.tier in (None, tier))
        ]

    def peak_rate(self, *, load: str | None = None, tier: str | None = None) -> float:
        """The highest rate, in requests per second, that these streams reach together; arguments as of `offered`."""
        streams = self.offered(load=load, tier=tier)
        # A sum of rates that come and go is highest as one of them comes.
        return max((sum(one.rate for one in streams if one.at <= at.at < one.end) for at in streams), default=0.0)

    def scaled(self, factor: float) -> "Experiment":
        """Every span on the run's clock times `factor`; latencies, rates and shares stay as they are."""
        if factor == 1:
            return self

        def span(seconds: float) -> Duration:
            return Duration(seconds * factor)

        def arguments(one: Check | Step) -> Mapping[str, object]:
            return {
                name: span(value) if name in one.scaled and isinstance(value, int | float) else value
                for name, value in one.arguments.items()
            }

        def check(one: Check) -> Check:
            return replace(one, arguments=arguments(one))

        def step(one: Step) -> Step:
            return replace(one, arguments=arguments(one), at=span(one.at), for_=span(one.for_))

        def stream(one: Load) -> Load:
            return replace(one, at=span(one.at), for_=None if one.for_ is None else span(one.for_))

        return replace(
            self,
            load=tuple(map(stream, self.load)),
            duration=span(self.duration),
            method=tuple(map(step, self.method)),
            steady_state=tuple(map(check, self.steady_state)),
            during=tuple(map(check, self.during)),
            after=tuple(map(check, self.after)),
            abort=tuple(map(check, self.abort)),
        )
