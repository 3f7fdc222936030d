"""How fast a failure was noticed and mitigated, how it ended, and what it cost: measured, never estimated.

What each figure means, for one experiment of a drill (a step). "The fault" is all that its method breaks: it is on from
when the first of it was really on to when the last of it was really off, by the run's evidence.

- **Time to detect (TTD)**: from when the fault was on to the first mark `detected` on this step, whoever made it: a
  person with the button, or an alert *when its notification came in*, which is when somebody could know. A mark from
  before the fault counts for nothing, nor does an alert that was firing before it (`Mark.since`).
- **Time to mitigate (TTM)**: from when the fault was on to what came first: a mark `mitigated`, taken at its word; or
  the moment from which the service levels held *while the fault was still on*, after they had broken: the system's own
  doing. The drill's heal is no mitigation. Where no level broke, there was nothing to mitigate.
- **Recovery**: from when the fault was off to the moment from which the service levels held to the end of the run; 0
  where they held already. **By itself**: nobody marked it mitigated and nobody aborted it.
- **Error budget burnt**: what the whole run took of a 30-day month's budget of the experiment's objective, while it was
  broken and around it; see `brownout.report.budget`. Burn rates are those of Google's Site Reliability Workbook,
  chapter 5, "Alerting on SLOs": https://sre.google/workbook/alerting-on-slos/

The service levels are those that the experiment states; see `brownout.gameday.levels`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import Mark
from brownout.gameday.steptimes import StepTimes, times_of
from brownout.units import format_seconds


@dataclass(frozen=True, slots=True)
class Noticed:
    """That a failure was detected or mitigated: by whom or what, and when."""

    source: Literal["alert", "person", "system"]
    """`system`: the service levels held again while the fault was on."""
    by: str
    after: float
    """Seconds since the fault was on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """The figures of a step; see the module. None is what was not measured."""

    times: StepTimes
    detections: tuple[Noticed, ...] = ()
    """Everybody and everything that noticed, the first time each, the earliest first."""
    mitigations: tuple[Noticed, ...] = ()
    """The same of mitigation."""
    recovery: float | None = None
    """Seconds."""
    by_itself: bool | None = None
    """Whether it recovered without a person."""

    @property
    def step(self) -> int:
        return self.times.number

    @property
    def detected_by(self) -> Noticed | None:
        """What or who was first."""
        return next(iter(self.detections), None)

    @property
    def mitigated_by(self) -> Noticed | None:
        """What or who was first."""
        return next(iter(self.mitigations), None)

    @property
    def ttd(self) -> float | None:
        """Seconds."""
        return None if self.detected_by is None else self.detected_by.after

    @property
    def ttm(self) -> float | None:
        """Seconds."""
        return None if self.mitigated_by is None else self.mitigated_by.after

    @property
    def spent(self) -> float | None:
        """Of the error budget, as seconds of total outage that come to the same."""
        return None if self.times.burnt is None else self.times.burnt.spent


@dataclass(frozen=True, slots=True)
class GoalVerdict:
    """A goal of the plan, and what came of it."""

    goal: Literal["detect", "mitigate"]
    within: float
    """Seconds that the plan allows."""
    outcome: Literal["met", "missed", "not measured"]
    figure: float | None
    """Seconds that it took."""
    why: str
    """One phrase for people."""


def counts(mark: Mark, fault_on: datetime) -> bool:
    """Whether a mark can be of a fault that was on from then: it came later, and no alert that was firing already."""
    return mark.at >= fault_on and (mark.since is None or mark.since >= fault_on)


def measured(step: StepTimes, marks: Sequence[Mark]) -> Measured:
    """The figures of a step.

    Args:
        step: what its evidence says.
        marks: of the drill, in any order.
    """
    if step.fault_on is None:
        return Measured(times=step)
    fault_on = step.fault_on
    mine = sorted((one for one in marks if one.step == step.number and counts(one, fault_on)), key=lambda one: one.at)
    detections = _first(Noticed(m.source, m.by, _s(m.at - fault_on)) for m in mine if m.kind == "detected")
    mitigations = [Noticed(m.source, m.by, _s(m.at - fault_on)) for m in mine if m.kind == "mitigated"]
    by_person = any(one.source == "person" for one in mitigations)
    if step.held_under_fault is not None:
        mitigations.append(Noticed("system", "the system itself", _s(step.held_under_fault - fault_on)))
    recovery = None if step.whole is None or step.fault_off is None else _s(step.whole - step.fault_off)
    by_itself: bool | None = None
    if by_person or step.aborted:
        by_itself = False
    elif recovery is not None:
        by_itself = True
    return Measured(
        times=step,
        detections=detections,
        mitigations=_first(sorted(mitigations, key=lambda one: one.after)),
        recovery=recovery,
        by_itself=by_itself,
    )


def verdicts(of: Measured, *, detect: float, mitigate: float) -> tuple[GoalVerdict, GoalVerdict]:
    """A step against the plan's goals.

    Without a figure a goal is missed where it was watched for that long in vain; otherwise nobody can tell, and it is
    not measured. It is never met without one.

    Args:
        of: the figures.
        detect: seconds that the plan allows to detect.
        mitigate: seconds that the plan allows to mitigate.
    """
    step = of.times
    if step.fault_on is None:
        why = step.why or "no fault was on"
        return (
            GoalVerdict("detect", detect, "not measured", None, why),
            GoalVerdict("mitigate", mitigate, "not measured", None, why),
        )
    watched = 0.0 if step.until is None else _s(step.until - step.fault_on)
    on = 0.0 if step.fault_off is None else _s(step.fault_off - step.fault_on)
    return (
        _verdict("detect", detect, of.detected_by, watched, f"nothing noticed it in {format_seconds(watched)}"),
        _verdict("mitigate", mitigate, of.mitigated_by, on if _broke(step) else 0.0, _unmitigated(step, on)),
    )


def of_drill(journal: Journal, minutes: Minutes, drill: str) -> Sequence[Measured]:
    """The figures of every experiment that a drill has begun, in order.

    Raises:
        InvalidInput: there is no such drill.
        EnvironmentProblem: the journal cannot be read.
    """
    row, marks = journal.drill(drill), minutes.marks(drill)
    rows = journal.steps(drill)
    # Of a drill that ended before its first experiment there are none.
    ends = [*(later.started for later in rows[1:]), row.ended][: len(rows)]
    return [measured(times_of(one, until=end or one.ended), marks) for one, end in zip(rows, ends, strict=True)]


def _first(noticed: Iterable[Noticed]) -> tuple[Noticed, ...]:
    """Each only the first time."""
    found: dict[tuple[str, str], Noticed] = {}
    for one in noticed:
        found.setdefault((one.source, one.by), one)
    return tuple(found.values())


def _verdict(
    goal: Literal["detect", "mitigate"], within: float, first: Noticed | None, watched: float, otherwise: str
) -> GoalVerdict:
    if first is not None:
        outcome: Literal["met", "missed"] = "met" if first.after <= within else "missed"
        return GoalVerdict(goal, within, outcome, first.after, f"by {first.by} after {format_seconds(first.after)}")
    return GoalVerdict(goal, within, "missed" if watched >= within > 0 else "not measured", None, otherwise)


def _broke(step: StepTimes) -> bool:
    """Whether a level broke while the fault was on."""
    return step.broken is not None and (step.fault_off is None or step.broken < step.fault_off)


def _unmitigated(step: StepTimes, on: float) -> str:
    if not step.levels_seen:
        return "it cannot be told whether a service level broke"
    if not _broke(step):
        return "no service level broke: there was nothing to mitigate"
    if step.fault_off is None:
        return "the run was cut short under the fault"
    return f"the service levels were broken until the drill healed it after {format_seconds(on)}"


def _s(span: timedelta) -> float:
    return span.total_seconds()
