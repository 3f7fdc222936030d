"""Whether a drill may start: from the plan, the moment and what is known; with a reason for every no.

The rules are those of a reliability programme: no drill without a runbook, a rollback plan and somebody at hand who can
abort it; none in a blackout; none before the last one has been reviewed. What may be overridden may be so by a person
whom the plan names, for a reason, and both stay in the journal. Nothing here reads a clock or a file.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, get_args
from zoneinfo import ZoneInfo

from brownout.gameday.blackouts import Closure
from brownout.gameday.plan import GameDay
from brownout.gameday.schedule import Occurrence

Rule = Literal[
    "runbook",
    "rollback",
    "commander",
    "abort-holder",
    "window",
    "blackout",
    "review",
    "started",
    "blast-radius",
    "experiments",
    "running",
    "interrupted",
]
RULES: tuple[Rule, ...] = get_args(Rule)
NEVER_OVERRIDDEN: frozenset[Rule] = frozenset({"experiments", "running", "interrupted"})
"""Nobody's word makes it safe to break what is broken already, or lets an experiment run that cannot."""
CHECK_IN_LASTS = timedelta(hours=4)
"""How long somebody who has checked in counts as being there: an evening before a night's drill, not a day."""


@dataclass(frozen=True, slots=True)
class Override:
    """Somebody takes it on themselves."""

    rule: Rule
    by: str
    why: str


@dataclass(frozen=True, slots=True)
class PastDrill:
    """A drill of this plan, or where this one is to be, as the journal has it."""

    id: str
    plan: str
    state: Literal["running", "interrupted", "over"]
    scheduled: datetime | None = None
    """The occurrence that it was started for."""
    review_due: datetime | None = None
    """None: reviewed, or nothing to review."""
    here: bool = True
    """Whether it was on the same instance of the same target."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What there is to know at the moment of the start."""

    runbook_found: bool
    """Whether the runbook's file is there; true where it is a URL."""
    due: Occurrence | None
    upcoming: Occurrence | None
    closures: Sequence[Closure]
    """Those that share a moment with the drill's window."""
    checked_in: Mapping[str, datetime]
    """Who checked in for this plan, and when last."""
    past: Sequence[PastDrill] = ()
    beyond: Sequence[str] = ()
    """What its experiments would hit beyond the plan's blast radius, each with its place in a file."""
    problems: Sequence[str] = ()
    """What keeps its experiments from running, the same."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """One reason why not."""

    rule: Rule
    why: str

    def __str__(self) -> str:
        return f"{self.rule}: {self.why}"


@dataclass(frozen=True, slots=True)
class Decision:
    """What came of it."""

    refusals: tuple[Refusal, ...]
    """Those that stand: none of them, and the drill may start."""
    overridden: tuple[tuple[Refusal, Override], ...]
    abort_holder: str | None
    """Who holds the abort: the last one who checked in."""

    @property
    def permitted(self) -> bool:
        return not self.refusals

    @property
    def not_due(self) -> bool:
        """Whether it is the calendar that says no: another day, a blackout, this date's drill was started already."""
        return any(one.rule in ("window", "blackout", "started") for one in self.refusals)


def permit(plan: GameDay, now: datetime, facts: Facts, overrides: Sequence[Override] = ()) -> Decision:
    """Hold the plan against every rule."""
    holder = abort_holder(plan, now, facts.checked_in)
    found = [
        *_of_plan(plan, facts.runbook_found),
        *_of_people(plan, holder),
        *_of_dates(plan, facts),
        *_of_past(plan, now, facts),
        *_of_experiments(facts.beyond, facts.problems),
    ]
    by_rule = {one.rule: one for one in overrides if one.by in plan.people and one.rule not in NEVER_OVERRIDDEN}
    return Decision(
        refusals=tuple(one for one in found if one.rule not in by_rule),
        overridden=tuple((one, by_rule[one.rule]) for one in found if one.rule in by_rule),
        abort_holder=holder,
    )


def never_startable(plan: GameDay, *, runbook_found: bool, beyond: Sequence[str] = ()) -> Sequence[Refusal]:
    """What in the plan itself will refuse every start, whenever it is; `beyond` as in `Facts`."""
    refusals = list(_of_plan(plan, runbook_found))
    if not plan.people.abort:
        refusals.append(Refusal("abort-holder", "the plan names nobody who may hold the abort (people: abort)"))
    return [*refusals, *_of_experiments(beyond, ())]


def abort_holder(plan: GameDay, now: datetime, checked_in: Mapping[str, datetime]) -> str | None:
    """The last of those who may hold the abort to have checked in; None where nobody has, or too long ago."""
    there = {
        name: when
        for name, when in checked_in.items()
        if name in plan.people.abort and timedelta() <= now - when <= CHECK_IN_LASTS
    }
    return max(there, key=lambda name: there[name], default=None)


def _of_plan(plan: GameDay, runbook_found: bool) -> Sequence[Refusal]:
    refusals = []
    if plan.runbook is None:
        refusals.append(Refusal("runbook", "the plan has no runbook"))
    elif not runbook_found:
        refusals.append(Refusal("runbook", f"there is no file {plan.runbook} beside the plan"))
    if plan.rollback is None:
        refusals.append(Refusal("rollback", "the plan does not say how to roll back"))
    if plan.people.commander is None:
        refusals.append(Refusal("commander", "the plan names no commander (people: commander)"))
    return refusals


def _of_experiments(beyond: Sequence[str], problems: Sequence[str]) -> Sequence[Refusal]:
    return [
        *(Refusal("blast-radius", one) for one in beyond),
        *(Refusal("experiments", one) for one in problems),
    ]


def _of_people(plan: GameDay, holder: str | None) -> Sequence[Refusal]:
    if holder is not None:
        return ()
    if not plan.people.abort:
        return (Refusal("abort-holder", "the plan names nobody who may hold the abort (people: abort)"),)
    who = " or ".join(plan.people.abort)
    hours = CHECK_IN_LASTS.total_seconds() / 3600
    why = f"{who} must have checked in within the last {hours:g} hours: chaos gameday check-in {plan.file} --as NAME"
    return (Refusal("abort-holder", why),)


def _of_dates(plan: GameDay, facts: Facts) -> Sequence[Refusal]:
    refusals = []
    if facts.due is None:
        upcoming = "never again" if facts.upcoming is None else on_the_wall(facts.upcoming.start, plan.schedule.zone)
        refusals.append(Refusal("window", f"this is no time for it; the next one is {upcoming}"))
    for closure in facts.closures:
        zone = plan.schedule.zone
        span = f"{on_the_wall(closure.start, zone)} to {on_the_wall(closure.end, zone)}"
        refusals.append(Refusal("blackout", f"{closure.why} ({span})"))
    return refusals


def _of_past(plan: GameDay, now: datetime, facts: Facts) -> Sequence[Refusal]:
    refusals = []
    for past in facts.past:
        if past.here and past.state == "running":
            refusals.append(Refusal("running", f"drill {past.id} is still going on"))
        elif past.here and past.state == "interrupted":
            then = f"chaos gameday record {past.id} --looked --by NAME"
            why = f"drill {past.id} was interrupted; look at what it left (chaos heal), then: {then}"
            refusals.append(Refusal("interrupted", why))
        if past.plan != plan.name:
            continue
        if facts.due is not None and past.scheduled == facts.due.start:
            why = f"drill {past.id} was started for {on_the_wall(facts.due.start, plan.schedule.zone)} already"
            refusals.append(Refusal("started", why))
        if past.review_due is not None and past.review_due < now:
            since = on_the_wall(past.review_due, plan.schedule.zone)
            why = f"the review of drill {past.id} has been due since {since}: chaos gameday record {past.id} --reviewed"
            refusals.append(Refusal("review", f"{why} --by NAME"))
    return refusals


def on_the_wall(moment: datetime, zone: ZoneInfo) -> str:
    """A moment as people of that zone read it: `Sun 2027-03-28 03:00 CEST`."""
    return f"{moment.astimezone(UTC).astimezone(zone):%a %Y-%m-%d %H:%M %Z}"
