"""What every form of a drill's record shows, worked out once."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from zoneinfo import ZoneInfo

from brownout.errors import InvalidInput
from brownout.gameday.goals import Measured, of_drill
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.plan import TTD, TTM, GameDay
from brownout.gameday.reader import parse_plan
from brownout.gameday.record.questions import Answer, answers
from brownout.gameday.record.steps import Step, steps_of
from brownout.gameday.record.timeline import Moment, timeline
from brownout.gameday.rows import Drill, FollowUp, Mark, Note, OverrideRow, RefusedStart
from brownout.report.text import line, listing, plural
from brownout.units import format_seconds

EARLIER = 3
"""Drills of the same plan with which one is compared."""
HTML, MARKDOWN = "record.html", "record.md"
"""Names of the two files in a drill's folder."""


@dataclass(frozen=True)
class Played:
    """A drill and what its evidence tells."""

    drill: Drill
    plan: GameDay | None
    """As it was; None where this version cannot read it any more."""
    steps: Sequence[Step]
    times: Mapping[int, Measured]
    """By the number of the experiment, where they were measured."""
    folder: Path
    """Where its run folders lie."""

    @property
    def zone(self) -> ZoneInfo:
        return self.plan.schedule.zone if self.plan else ZoneInfo("UTC")

    @property
    def goals(self) -> tuple[float, float]:
        """Seconds to detect and to mitigate."""
        return (self.plan.ttd, self.plan.ttm) if self.plan else (TTD, TTM)

    @property
    def outcome(self) -> str:
        """In a word: the drill's, or the state that it is in."""
        return self.drill.outcome or self.drill.state

    def worst(self, name: str) -> float | None:
        """The longest of the times of that name; None where none was measured."""
        return max((found for one in self.times.values() if (found := getattr(one, name)) is not None), default=None)

    @property
    def spent(self) -> float | None:
        """Of the error budget, all experiments together: seconds of total outage."""
        found = [one.burnt.spent for one in self.steps if one.burnt is not None]
        return sum(found) if found else None


@dataclass(frozen=True)
class RecordView:
    """A drill, all that was said of it, and the drills before it."""

    played: Played
    marks: Sequence[Mark]
    notes: Sequence[Note]
    overrides: Sequence[OverrideRow]
    refused: Sequence[RefusedStart]
    """Since the drill of this plan before it."""
    follow_ups: Sequence[FollowUp]
    earlier: Sequence[Played]
    """The last drills of the same plan, the oldest first."""

    @property
    def drill(self) -> Drill:
        return self.played.drill

    @property
    def steps(self) -> Sequence[Step]:
        return self.played.steps

    @cached_property
    def moments(self) -> Sequence[Moment]:
        return timeline(self.drill, self.steps, self.marks, self.notes, self.overrides)

    @cached_property
    def answers(self) -> Mapping[int, Mapping[str, Answer]]:
        """The questions that every drill is asked, by the number of the experiment; of those that were started."""
        return {
            step.number: answers(step, self.marks_of(step), self.played.times.get(step.number))
            for step in self.steps
            if step.row is not None
        }

    def marks_of(self, step: Step) -> Sequence[Mark]:
        """Those of one experiment."""
        return [mark for mark in self.marks if mark.step == step.number]

    @property
    def headline(self) -> str:
        """A few sentences for somebody who reads nothing else."""
        said = [self._outcomes()]
        if self.drill.said:
            said.append(f"It ended early: {line(self.drill.said).rstrip('.')}.")
        elif self.drill.state == "interrupted":
            said.append("It was interrupted: the process that played it did not come to its end.")
        said.append(self._detected())
        return " ".join(filter(None, said))

    def _outcomes(self) -> str:
        started = [step for step in self.steps if step.row is not None]
        if not started:
            return "No experiment was started."
        if all(step.outcome == "passed" for step in self.steps):
            return f"All {len(started)} experiments passed." if len(started) > 1 else "The experiment passed."
        words = dict.fromkeys(step.outcome for step in self.steps)
        counted = [(word, [step for step in self.steps if step.outcome == word]) for word in words]
        told = [
            f"{len(found)} {word}"
            + (f" ({listing([line(one.experiment) for one in found])})" if word != "passed" else "")
            for word, found in counted
        ]
        return f"Of {plural(len(self.steps), 'experiment')}, {listing(told)}."

    def _detected(self) -> str:
        broken = [step for step in self.steps if step.fault_on is not None]
        seen = {mark.step for mark in self.marks if mark.kind == "detected"}
        if not broken:
            return ""
        found = sum(step.number in seen for step in broken)
        if not found:
            return "Nobody, and no alert, said to have noticed."
        goal = format_seconds(self.played.goals[0])
        slowest = self.played.worst("ttd")
        took = "" if slowest is None else f", at the latest after {format_seconds(slowest)} (goal: {goal})"
        of = "It was" if len(broken) == 1 else f"{found} of {len(broken)} failures {'was' if found == 1 else 'were'}"
        return f"{of} detected{took}."


def view_of(journal: Journal, minutes: Minutes, name: str, *, folder: Path | None = None) -> RecordView:
    """Put the record of a drill together.

    Args:
        journal: what the drills did.
        minutes: what people and alerts made of them.
        name: the drill's.
        folder: where its run folders lie, if not where they were made.

    Raises:
        InvalidInput: there is no drill of that name.
    """
    drill = journal.drill(name)
    before = _before(journal, drill)
    return RecordView(
        _played(journal, minutes, drill, folder=folder),
        minutes.marks(name),
        minutes.notes(name),
        journal.overrides(name),
        refused(journal, minutes, drill),
        journal.follow_ups(drill=name),
        [_played(journal, minutes, one, folder=None) for one in before[-EARLIER:]],
    )


def refused(journal: Journal, minutes: Minutes, drill: Drill) -> Sequence[RefusedStart]:
    """The starts of its plan that were refused between the drill before it and this one."""
    before = _before(journal, drill)
    since = before[-1].started if before else datetime.min.replace(tzinfo=UTC)
    return [one for one in minutes.refused(plan=drill.plan) if since < one.at <= drill.started]


def _before(journal: Journal, drill: Drill) -> Sequence[Drill]:
    """The drills of the same plan before it, the oldest first."""
    same = [one for one in journal.drills() if one.plan == drill.plan]
    return same[: [one.id for one in same].index(drill.id)]


def _played(journal: Journal, minutes: Minutes, drill: Drill, *, folder: Path | None) -> Played:
    try:
        plan = parse_plan(journal.source(drill.id), path=Path(f"{drill.plan}.yaml"), kept=True)
    except InvalidInput:
        # Written for another version, or by a test: its drill is still worth a record.
        plan = None
    made = Path(drill.folder)
    folders = [made] if folder is None or folder.resolve() == made.resolve() else [folder, made]
    steps = steps_of(journal.steps(drill.id), plan, folders)
    return Played(drill, plan, steps, {one.step: one for one in of_drill(journal, minutes, drill.id)}, folders[0])


def link(path: Path | None, *, beside: Path) -> str | None:
    """Where a file lies as seen from a folder, as a link; None where it is not there."""
    from urllib.parse import quote  # noqa: PLC0415 - only a page has links

    if path is None or not path.is_file():
        return None
    return quote(os.path.relpath(path.resolve(), beside.resolve()).replace(os.sep, "/"))
