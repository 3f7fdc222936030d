"""What the record says in words, the same on the page and in the runbook's entry."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from itertools import groupby

from brownout.evidence.model import Request
from brownout.gameday.goals import verdicts
from brownout.gameday.governance import on_the_wall
from brownout.gameday.plan import BlastRadius
from brownout.gameday.record.steps import Step
from brownout.gameday.record.view import RecordView
from brownout.report.figures import BROKEN
from brownout.report.text import line, listing, plural
from brownout.units import format_seconds, format_share

ALIKE = 0.01
"""By how much the shares of answered requests of several tiers or tenants may differ to be told as one."""
MOST_NAMED = 6
WHYS = 5
_KINDS: Mapping[str, Callable[[Request], str]] = {
    "tier": lambda one: one.tier,
    "tenant": lambda one: one.tenant,
    "load": lambda one: one.load or "",
}


def facts(view: RecordView) -> Sequence[tuple[str, str]]:
    """What was planned and who took part."""
    return [(name, text) for name, text in _facts(view) if text]


def _facts(view: RecordView) -> Iterator[tuple[str, str]]:
    drill, plan, zone = view.drill, view.played.plan, view.played.zone
    yield "Drill", drill.id
    yield "Target", f"{drill.target} (instance {drill.instance})"
    yield "Due", on_the_wall(drill.scheduled, zone) if drill.scheduled else "not when due"
    yield "Started", on_the_wall(drill.started, zone)
    if drill.ended is not None:
        lasted = format_seconds(round((drill.ended - drill.started).total_seconds(), 1))
        yield "Ended", f"{on_the_wall(drill.ended, zone)}, after {lasted}"
    yield "Commander", drill.commander or "nobody"
    yield "The abort was held by", drill.abort_holder or "nobody"
    if plan is not None:
        yield "Scribe", plan.people.scribe or ""
        yield "Responders", listing([*plan.people.responders])
        yield "Blast radius", radius_in_words(plan.blast_radius)
        yield "Goals", f"detected within {format_seconds(plan.ttd)}, mitigated within {format_seconds(plan.ttm)}"
        yield "Runbook", plan.runbook or ""
        yield "Rollback", plan.rollback or ""
    if drill.looked_by:
        yield "Looked at by", drill.looked_by


def radius_in_words(radius: BlastRadius) -> str:
    """`5 % of the traffic, 1 pod of each service`; `not stated`."""
    parts = [] if radius.traffic is None else [f"{format_share(radius.traffic)} of the traffic"]
    parts += [] if radius.pods is None else [f"{plural(radius.pods, 'pod')} of each service"]
    parts += [f"tenants {listing([*radius.tenants])}"] if radius.tenants else []
    return ", ".join(parts) or "not stated"


def due(view: RecordView) -> str:
    """When the drill was reviewed, or has to be."""
    drill, zone = view.drill, view.played.zone
    if drill.reviewed is not None:
        return f"reviewed {on_the_wall(drill.reviewed, zone)} by {line(drill.reviewed_by, limit=60)}"
    if drill.review_due is not None:
        return f"to be reviewed by {on_the_wall(drill.review_due, zone)}"
    return "to be reviewed once somebody has looked at what it left" if drill.state == "interrupted" else "not over yet"


def refusals(view: RecordView) -> Sequence[tuple[str, Sequence[str]]]:
    """Starts that were refused since the last drill: when, and every reason."""
    return [
        (on_the_wall(at, view.played.zone), [f"{line(one.rule)}: {line(one.why, limit=400)}" for one in found])
        for at, found in groupby(view.refused, key=lambda one: one.at)
    ]


def findings(view: RecordView) -> Sequence[str]:
    """What there is to ask five times why of."""
    asked = [
        f"Why: {line(step.experiment)} {step.outcome}?"
        for step in view.steps
        if step.row is not None and step.outcome != "passed"
    ]
    return asked or ["Why: what surprised us most?"]


def isolated(step: Step) -> Sequence[str]:
    """What was broken, with its proof, and which breakers opened."""
    if step.run is None:
        return ()
    recording = step.run.recording
    told = []
    for span in recording.faults:
        lasted = "was still on at the end" if span.off is None else f"on for {format_seconds(span.off - span.on)}"
        proof = "nothing was counted that shows it" if span.proof is None else line(span.proof.summary)
        told.append(f"{line(span.title)}: {lasted}; {proof}")
    first = min((span.on for span in recording.faults), default=0.0)
    opened = dict.fromkeys(one.dependency for one in recording.transitions if one.new == "open" and one.at >= first)
    if opened:
        names = [line(name, limit=40) for name in opened]
        shown = listing(names[:MOST_NAMED]) + (
            f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else ""
        )
        told.append(f"Breakers that opened: {shown}")
    return told


def hit(step: Step) -> Sequence[str]:
    """How many requests of each tier, tenant and stream of load were answered while something was broken."""
    parts = {part.name: part.requests for part in step.run.parts} if step.run else {}
    told = []
    for kind, of in _KINDS.items():
        groups: dict[str, list[bool]] = {}
        for one in parts.get(BROKEN, ()):
            if name := of(one):
                groups.setdefault(name, []).append(one.outcome == "ok")
        shares = {name: sum(found) / len(found) for name, found in groups.items()}
        if len(shares) < 2:
            continue
        low, high = min(shares.values()), max(shares.values())
        if high - low <= ALIKE:
            told.append(f"Every {kind} alike: {format_share(low)} answered")
            continue
        worst = sorted(shares, key=lambda name: (shares[name], name))
        named = [f"{line(name, limit=40)} {format_share(shares[name])}" for name in worst[:MOST_NAMED]]
        more = f" and {len(worst) - MOST_NAMED} more" if len(worst) > MOST_NAMED else ""
        told.append(f"Answered by {kind}: {listing(named)}{more}")
    return told


def against_goals(view: RecordView, step: Step) -> Sequence[tuple[str, float | None, str]]:
    """Time to detect and time to mitigate of one experiment: the name, seconds, and what came of the goal."""
    if (measured := view.played.times.get(step.number)) is None:
        return (("TTD", None, "not measured"), ("TTM", None, "not measured"))
    detect, mitigate = view.played.goals
    names: dict[str, str] = {"detect": "TTD", "mitigate": "TTM"}
    found = verdicts(measured, detect=detect, mitigate=mitigate)
    return [(names[one.goal], one.figure, one.outcome) for one in found]


def by_the_system(view: RecordView, step: Step) -> str:
    """How the system itself mitigated what was broken in one experiment; nothing where it did not, or too late."""
    times = view.played.times.get(step.number)
    first = None if times is None else times.mitigated_by
    if first is None or first.source != "system":
        return ""
    return f"By the system itself: its service levels held again {format_seconds(first.after)} after the fault"


def clock(view: RecordView, moment: datetime) -> str:
    """`14:03:12 CET`, with the date where it is not the day on which the drill started."""
    zone = view.played.zone
    there, began = moment.astimezone(zone), view.drill.started.astimezone(zone)
    return f"{there:%H:%M:%S %Z}" if there.date() == began.date() else f"{there:%Y-%m-%d %H:%M:%S %Z}"


def after_fault(step: Step, moment: datetime) -> str:
    """`12 s after the fault`; nothing where no fault was on."""
    since = step.fault_on
    if since is None:
        return ""
    seconds = (moment - since).total_seconds()
    return f"{format_seconds(abs(seconds))} {'after' if seconds >= 0 else 'before'} the fault"
