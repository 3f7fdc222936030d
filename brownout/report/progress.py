"""What a run tells while it lasts, and the two ways of telling it that need no terminal."""

import json
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Protocol, TextIO

from brownout.report.streams import Forgiving
from brownout.report.text import line
from brownout.units import format_seconds, format_share

PLAIN_EVERY = 5.0
"""Seconds of the run between two lines of figures where there is no terminal."""


ALARMS = ("ABORTED", "TROUBLE")
"""How a note starts that says that the run goes wrong."""


@dataclass(frozen=True, slots=True)
class LiveStats:
    """How the run is doing. Times in seconds; rates and shares are of the last few seconds."""

    elapsed: float
    total: float
    requests: int
    rate: float
    """Requests a second."""
    errors: int
    """Since the start."""
    ttft_p95: float | None = None
    degraded_share: float | None = None
    breakers: Mapping[str, str] = field(default_factory=dict)
    """State by dependency."""
    faults: tuple[tuple[str, float], ...] = ()
    """Those that are on: title, and seconds until they are to be off."""


class Progress(Protocol):
    """Tells somebody how a run is going. Never raises: a reader who left must not end the run."""

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None:
        """A phase began, which ends the one before; it lasts from `start` to `end`, where that is known.

        The name of the phase that is on moves its bounds.
        """

    def say(self, text: str) -> None:
        """A short phrase about what is being done."""

    def tick(self, stats: LiveStats) -> None:
        """The figures of now; about twice a second."""

    def note(self, at: float, text: str) -> None:
        """Something worth a line of its own, at that moment of the run; shown as bad where it starts with an alarm."""

    def close(self) -> None:
        """The run is over. Does nothing the second time."""


def figures(stats: LiveStats) -> list[str]:
    """The figures as short phrases, the most important first."""
    parts = [f"{stats.rate:.0f}/s", f"{stats.errors} error{'' if stats.errors == 1 else 's'}"]
    if stats.ttft_p95 is not None:
        parts.append(f"p95 {format_seconds(stats.ttft_p95)}")
    if stats.degraded_share is not None:
        parts.append(f"{format_share(stats.degraded_share)} degraded")
    return parts


def states(stats: LiveStats) -> list[str]:
    """What is not as it should be: faults that are on, breakers that are not closed."""
    parts = [f"{line(title, limit=60)}, {format_seconds(max(round(left), 0))} left" for title, left in stats.faults]
    return parts + [
        f"{line(name, limit=40)} {state}" for name, state in sorted(stats.breakers.items()) if state != "closed"
    ]


class PlainProgress:
    """Plain lines for a log: where a phase starts and ends, every note, and figures now and then."""

    def __init__(self, stream: TextIO | None, *, now: Callable[[], float] = time.monotonic) -> None:
        self._stream = Forgiving(stream)
        self._now = now
        self._phase: tuple[str, float] | None = None
        self._told = 0.0

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None:
        if self._phase is not None and self._phase[0] == name:
            return
        self._end_phase()
        self._phase = (name, self._now())
        span = "" if start is None or end is None else f", {format_seconds(start)} to {format_seconds(end)} of the run"
        self._write(f"{line(name)}{span}")

    def say(self, text: str) -> None:
        self._write(f"  {line(text)}")

    def tick(self, stats: LiveStats) -> None:
        if stats.elapsed - self._told >= PLAIN_EVERY:
            self._told = stats.elapsed
            self._at(stats.elapsed, ", ".join([f"{stats.requests} requests", *figures(stats), *states(stats)]))

    def note(self, at: float, text: str) -> None:
        self._at(at, line(text))

    def close(self) -> None:
        self._end_phase()

    def _end_phase(self) -> None:
        if self._phase is not None:
            name, since = self._phase
            self._phase = None
            self._write(f"{line(name)}: over after {format_seconds(round(self._now() - since, 1))}")

    def _at(self, at: float, text: str) -> None:
        self._write(f"  {at:7.1f} s  {text}")

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


class JsonProgress:
    """One JSON object a line, each with `event` and `time`: `phase`, `say`, `tick`, `note`, `verdict`, `end`."""

    def __init__(self, stream: TextIO | None, *, now: Callable[[], float] = time.time) -> None:
        """`now` gives Unix seconds."""
        self._stream = Forgiving(stream)
        self._now = now
        self._closed = False

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None:
        self._write("phase", name=name, start=start, end=end)

    def say(self, text: str) -> None:
        self._write("say", text=text)

    def tick(self, stats: LiveStats) -> None:
        self._write("tick", **asdict(stats))

    def note(self, at: float, text: str) -> None:
        self._write("note", at=at, text=text)

    def verdict(self, told: Mapping[str, object]) -> None:
        """What the run came to, as `chaos run --json` prints it."""
        self._write("verdict", **told)

    def close(self) -> None:
        if not self._closed:
            self._closed = True
            self._write("end")

    def _write(self, event: str, **values: object) -> None:
        # ASCII: every other character is escaped, so that any reader and any encoding will do. Text is what becomes of
        # what JSON has no form for: a probe of a user's own may put anything into its verdict.
        self._stream.write(json.dumps({"event": event, "time": round(self._now(), 3), **values}, default=str) + "\n")
        self._stream.flush()


class SharedProgress:
    """Tells several the same."""

    def __init__(self, *all_of: Progress) -> None:
        self._all = all_of

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None:
        for one in self._all:
            one.phase(name, start=start, end=end)

    def say(self, text: str) -> None:
        for one in self._all:
            one.say(text)

    def tick(self, stats: LiveStats) -> None:
        for one in self._all:
            one.tick(stats)

    def note(self, at: float, text: str) -> None:
        for one in self._all:
            one.note(at, text)

    def close(self) -> None:
        for one in self._all:
            one.close()
