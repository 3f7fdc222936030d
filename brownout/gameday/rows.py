"""What the journal of drills holds, row by row."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Literal

from brownout.process import ProcessId

Outcome = Literal["passed", "failed", "inconclusive", "aborted", "error"]
State = Literal["running", "interrupted", "over"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDrill:
    """What is written down before the first experiment of a drill starts."""

    id: str
    plan: str
    title: str
    source: str
    target: str
    instance: str
    folder: str
    commander: str | None
    abort_holder: str | None
    process: ProcessId
    review_within: float
    scheduled: datetime | None
    started: datetime


@dataclass(frozen=True, slots=True)
class Drill:
    """A drill as the journal has it."""

    id: str
    plan: str
    title: str
    target: str
    instance: str
    folder: str
    commander: str | None
    abort_holder: str | None
    state: State
    scheduled: datetime | None
    started: datetime
    ended: datetime | None
    outcome: Outcome | None
    said: str | None
    looked_by: str | None
    reviewed: datetime | None
    reviewed_by: str | None
    review_due: datetime | None
    """None while it goes on. An interrupted drill is due for review from when somebody has looked at it."""

    def overdue(self, now: datetime) -> bool:
        """Whether its review should have been by now."""
        return self.reviewed is None and self.review_due is not None and self.review_due < now


@dataclass(frozen=True, slots=True)
class StepRow:
    """One experiment of a drill."""

    number: int
    phase: str
    experiment: str
    started: datetime
    ended: datetime | None
    outcome: Outcome | None
    folder: str | None


@dataclass(frozen=True, slots=True)
class OverrideRow:
    """A rule that somebody overrode."""

    rule: str
    refusal: str
    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True)
class FollowUp:
    """Something to be done after a drill."""

    id: int
    drill: str
    what: str
    owner: str
    due: date | None
    closed: datetime | None

    def overdue(self, today: date) -> bool:
        return self.closed is None and self.due is not None and self.due < today


@dataclass(frozen=True, slots=True)
class Note:
    """Something that was said or decided during a drill."""

    at: datetime
    by: str
    what: str


@dataclass(frozen=True, slots=True)
class Mark:
    """That somebody, or an alert, noticed a failure, or that it was mitigated."""

    step: int
    """The number of the experiment in its drill."""
    kind: Literal["detected", "mitigated"]
    source: Literal["alert", "person"]
    by: str
    """The alert's name, or the person's."""
    at: datetime
    since: datetime | None = None
    """Of an alert: since when it fires, by its own account; it is told of later."""


@dataclass(frozen=True, slots=True)
class RefusedStart:
    """One reason for which a drill was not permitted."""

    plan: str
    target: str
    instance: str
    at: datetime
    rule: str
    why: str
