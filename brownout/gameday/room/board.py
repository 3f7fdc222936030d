"""What the control room shows: all that is known of a drill, put together from its events."""

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from brownout.gameday.events import (
    AbortAsked,
    DrillBegan,
    DrillEnded,
    Event,
    Marked,
    Noted,
    Paused,
    StepBegan,
    StepEnded,
    StepTold,
)
from brownout.gameday.goals import counts
from brownout.gameday.plan import GameDay
from brownout.gameday.rows import Mark
from brownout.report.text import line

SAMPLES = 120
"""Ticks that are kept for the small plots: a minute."""
ENTRIES = 300
"""Of the log."""
_HEALED = ": healed"
"""How a run's note ends that says that a fault is off; before it stands its title (`brownout.method`)."""
TICKS = 1.0
"""Seconds within which a fault that is on is told of, at the latest."""
SAID = 600
"""Characters of a note that are shown."""


@dataclass(slots=True)
class _Step:
    phase: str
    experiment: str
    state: str = "to come"
    began: float | None = None
    ended: float | None = None
    broken: float | None = None
    """When its first fault was seen."""
    whole: float | None = None
    """When the last one was gone, where none is on."""
    detected: Mark | None = None
    mitigated: Mark | None = None


@dataclass(slots=True)
class _Live:
    """Of the experiment that goes on."""

    phase: str = ""
    elapsed: float = 0.0
    total: float = 0.0
    at: float = 0.0
    faults: Sequence[tuple[str, float]] = ()
    """Title, and the Unix time at which it is to be off."""
    breakers: Mapping[str, str] = field(default_factory=dict)
    figures: Mapping[str, float | None] | None = None


class Board:
    """A `Watcher`. Moments are Unix seconds."""

    def __init__(self, plan: GameDay) -> None:
        self.version = 0
        """Grows with every change."""
        self._plan = plan
        self._steps = [
            _Step(line(phase.name, limit=80), one.path.name) for phase in plan.phases for one in phase.experiments
        ]
        self._step: _Step | None = None
        self._live = _Live()
        self._errors = 0
        self._samples: deque[Mapping[str, float | None]] = deque(maxlen=SAMPLES)
        self._log: deque[Mapping[str, object]] = deque(maxlen=ENTRIES)
        self._drill: Mapping[str, object] = {}
        self._pause: float | None = None
        self._abort: Mapping[str, object] | None = None
        self._ended: Mapping[str, object] | None = None
        self._changed = asyncio.Condition()

    async def on(self, event: Event) -> None:
        """Take note of it."""
        match event:
            case DrillBegan():
                self._drill = {
                    "name": event.drill,
                    "target": event.target,
                    "instance": event.instance,
                    "began": event.at.timestamp(),
                }
                self._entry(event.at, "drill", "began")
            case StepBegan():
                self._step_began(event)
            case StepTold():
                self._told(event)
            case StepEnded():
                self._step_ended(event)
            case Paused():
                self._pause = event.until.timestamp()
            case Marked():
                self._marked(event.mark)
            case Noted():
                self._entry(event.note.at, "note", event.note.what, by=event.note.by)
            case AbortAsked():
                self._abort = {"by": event.by, "why": event.why, "at": event.at.timestamp()}
                self._pause = None
                self._entry(event.at, "abort", event.why, by=event.by)
            case DrillEnded():
                self._pause, self._live = None, _Live()
                self._ended = {"outcome": event.outcome, "said": event.said, "at": event.at.timestamp()}
                self._entry(event.at, "drill", f"{event.outcome}" + (f": {event.said}" if event.said else ""))
        await self.touch()

    async def touch(self) -> None:
        """Something that is shown beside it has changed."""
        async with self._changed:
            self.version += 1
            self._changed.notify_all()

    async def newer_than(self, version: int) -> int:
        """Wait until there is something newer; returns its version."""
        async with self._changed:
            await self._changed.wait_for(lambda: self.version > version)
            return self.version

    def shown(self) -> dict[str, Any]:
        """All of it, as JSON."""
        plan, live = self._plan, self._live
        return {
            "title": plan.title,
            "drill": dict(self._drill),
            "goals": {"detect": plan.ttd, "mitigate": plan.ttm},
            "runbook": plan.runbook,
            "rollback": plan.rollback,
            "steps": [self._shown(number, one) for number, one in enumerate(self._steps, start=1)],
            "step": None if self._step is None else self._steps.index(self._step) + 1,
            "phase": live.phase,
            "elapsed": live.elapsed,
            "total": live.total,
            "ticked": live.at,
            "faults": [{"title": title, "until": until} for title, until in live.faults],
            "breakers": [{"name": name, "state": state} for name, state in sorted(live.breakers.items())],
            "figures": live.figures,
            "samples": list(self._samples),
            "pause": self._pause,
            "abort": self._abort,
            "ended": self._ended,
            "log": list(self._log),
        }

    def _shown(self, number: int, one: _Step) -> Mapping[str, object]:
        marks = {
            kind: None if mark is None else {"by": mark.by, "source": mark.source, "at": mark.at.timestamp()}
            for kind, mark in (("detected", one.detected), ("mitigated", one.mitigated))
        }
        return {
            "number": number,
            "phase": one.phase,
            "experiment": one.experiment,
            "state": one.state,
            "began": one.began,
            "ended": one.ended,
            "broken": one.broken,
            "whole": one.whole,
            **marks,
        }

    def _step_began(self, event: StepBegan) -> None:
        self._step = step = self._steps[event.number - 1]
        step.state, step.began = "running", event.at.timestamp()
        self._pause, self._live, self._errors = None, _Live(phase="starting"), 0
        self._samples.clear()
        self._entry(event.at, "step", f"{event.number}/{event.of} {event.experiment.name} began")

    def _step_ended(self, event: StepEnded) -> None:
        step = self._steps[event.number - 1]
        step.state, step.ended = event.outcome, event.at.timestamp()
        self._live = _Live()
        self._are_on((), event.at.timestamp())
        self._entry(event.at, "step", f"{event.number}/{len(self._steps)} {step.experiment}: {event.outcome}")

    def _told(self, event: StepTold) -> None:
        told, live = event.told, self._live
        match told.get("event"):
            case "phase":
                live.phase = line(told.get("name"), limit=80)
            case "say":
                if not live.total:
                    live.phase = line(told.get("text"), limit=80)
            case "note":
                text = str(told.get("text"))
                self._entry(event.at, "run", text)
                # Before the next tick: after an abort there is none.
                left = [one for one in live.faults if f"{one[0]}{_HEALED}" != line(text, limit=SAID)]
                if len(left) < len(live.faults):
                    self._are_on(left, event.at.timestamp())
            case "tick":
                self._ticked(told, event.at.timestamp())
            case _:
                pass

    def _ticked(self, told: Mapping[str, Any], at: float) -> None:
        live = self._live
        gap, live.at = (at - live.at if live.at else 0.0), at
        live.elapsed, live.total = float(told.get("elapsed", 0.0)), float(told.get("total", 0.0))
        faults = [(line(title, limit=120), at + max(float(left), 0.0)) for title, left in told.get("faults", ())]
        self._are_on(faults, at)
        live.breakers = {line(name, limit=60): str(state) for name, state in dict(told.get("breakers", {})).items()}
        errors = int(told.get("errors", 0))
        figures = {
            "rate": told.get("rate"),
            "errors": (errors - self._errors) / gap if gap > 0 else 0.0,
            "errors_total": float(errors),
            "ttft_p95": told.get("ttft_p95"),
            "degraded_share": told.get("degraded_share"),
        }
        self._errors = errors
        live.figures = figures
        self._samples.append({name: value for name, value in figures.items() if name != "errors_total"})

    def _are_on(self, faults: Sequence[tuple[str, float]], at: float) -> None:
        self._live.faults, step = faults, self._step
        if step is None:
            return
        if faults:
            step.broken, step.whole = at if step.broken is None else step.broken, None
        elif step.broken is not None and step.whole is None:
            step.whole = at

    def _marked(self, mark: Mark) -> None:
        by = f"alert {mark.by}" if mark.source == "alert" else mark.by
        if 1 <= mark.step <= len(self._steps):
            step = self._steps[mark.step - 1]
            if step.broken is None or not counts(mark, datetime.fromtimestamp(step.broken - TICKS, UTC)):
                self._entry(mark.at, mark.kind, f"experiment {mark.step}: before its fault; it does not count", by=by)
                return
            if mark.kind == "detected":
                # The first counts, whoever it was.
                step.detected = _earlier(step.detected, mark)
            else:
                step.mitigated = _earlier(step.mitigated, mark)
        self._entry(mark.at, mark.kind, f"experiment {mark.step}", by=by)

    def _entry(self, at: datetime, kind: str, text: str, *, by: str | None = None) -> None:
        short = line(text, limit=SAID)
        self._log.append({"at": at.timestamp(), "kind": kind, "by": by and line(by, limit=80), "text": short})


def _earlier(one: Mark | None, other: Mark) -> Mark:
    return other if one is None or other.at < one.at else one
