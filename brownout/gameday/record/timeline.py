"""Everything that has a time, on one line of time: the drill, its faults, breakers, what people and alerts said."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from brownout.gameday.record.steps import Step
from brownout.gameday.rows import Drill, Mark, Note, OverrideRow
from brownout.report.summary import story
from brownout.report.text import line

MOST = 600
"""Moments that are told one by one."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Something that happened."""

    at: datetime
    kind: str
    """`drill`, `step`, `fault`, `breaker`, `abort`, `error`, `warning`, `note`, `alert`, `person`, `override`,
    `phase`."""
    text: str
    step: int | None = None


def timeline(
    drill: Drill, steps: Sequence[Step], marks: Sequence[Mark], notes: Sequence[Note], overrides: Sequence[OverrideRow]
) -> Sequence[Moment]:
    """All of it in order; what happened at the same moment in the order of cause and effect."""
    found = [
        *_of_drill(drill, overrides),
        *(moment for step in steps for moment in _of_step(step)),
        *(Moment(mark.at, mark.source, f"{mark.kind} by {line(mark.by, limit=60)}", mark.step) for mark in marks),
        *(Moment(note.at, "note", f"{line(note.by, limit=60)}: {line(note.what, limit=600)}") for note in notes),
    ]
    if drill.ended is not None:
        why = f": {line(drill.said)}" if drill.said else ""
        found.append(Moment(drill.ended, "drill", f"over: {drill.outcome}{why}"))
    return sorted(found, key=lambda one: one.at)


def _of_drill(drill: Drill, overrides: Sequence[OverrideRow]) -> Iterator[Moment]:
    held = line(drill.abort_holder, limit=60) if drill.abort_holder else "nobody"
    yield Moment(drill.started, "drill", f"started; {held} holds the abort")
    for one in overrides:
        text = f"{line(one.by, limit=60)} overrode {line(one.rule)}: {line(one.why)} (it said: {line(one.refusal)})"
        yield Moment(one.at, "override", text)


def _of_step(step: Step) -> Iterator[Moment]:
    if step.row is None:
        return
    yield Moment(step.row.started, "step", f"{step.number}. {line(step.experiment)} begins", step.number)
    if step.run is not None:
        for one in story(step.run.recording):
            yield Moment(step.moment(one.at), one.kind, one.text, step.number)
    if step.row.ended is not None:
        yield Moment(step.row.ended, "step", f"{step.number}. {line(step.experiment)}: {step.outcome}", step.number)
