"""What is asked of every drill, answered from evidence: did breakers open, was there failover, an alert, a recovery?

The answers are facts, no verdicts: whether a breaker should have opened is the experiment's to say.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from brownout.evidence.model import Request
from brownout.gameday.goals import Measured
from brownout.gameday.record.steps import Step
from brownout.gameday.rows import Mark
from brownout.report.figures import BEFORE, BROKEN
from brownout.report.markdown import alert_sentence
from brownout.report.text import line, listing
from brownout.units import format_seconds, format_share

OPENS_WITHIN = 30.0
"""Seconds from the fault within which a breaker is to have opened; times the scale of the run."""
SHIFTED = 0.05
"""Of all answers: by how much the share of one provider, or of one way of retrieval, has to grow to be a failover."""
MOST_NAMED = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """`yes`, `no`, or `not known`; and from what that follows."""

    word: str
    why: str


def answers(step: Step, marks: Sequence[Mark], times: Measured | None) -> Mapping[str, Answer]:
    """The questions and their answers for one experiment; `marks` are those of this experiment."""
    return {
        "Breaker opened within 30 s?": _breaker(step),
        "Failed over?": _failed_over(step),
        "Alert fired?": _alerted(step, marks),
        "Recovery automatic?": _recovered(step, marks, times),
    }


def _breaker(step: Step) -> Answer:
    run = step.run
    if run is None or not run.recording.transitions:
        return Answer("not known", "no circuit breaker was watched")
    faults = run.recording.faults
    if not faults:
        return Answer("no", "no fault was on")
    limit = OPENS_WITHIN * run.info.scale
    delays: dict[str, float] = {}
    for one in run.recording.transitions:
        since = max((fault.on for fault in faults if fault.on <= one.at), default=None)
        if one.new == "open" and since is not None:
            delays.setdefault(one.dependency, one.at - since)
    if not delays:
        return Answer("no", "no breaker opened")
    soonest = sorted(delays.items(), key=lambda one: (one[1], one[0]))
    named = [f"{line(name, limit=40)} after {format_seconds(delay)}" for name, delay in soonest[:MOST_NAMED]]
    more = f" and {len(soonest) - MOST_NAMED} more" if len(soonest) > MOST_NAMED else ""
    scaled = "" if run.info.scale == 1 else f"; at scale {run.info.scale:g} that is within {format_seconds(limit)}"
    return Answer("yes" if soonest[0][1] <= limit else "no", listing(named) + more + scaled)


def _failed_over(step: Step) -> Answer:
    parts = {part.name: part.requests for part in step.run.parts} if step.run else {}
    before, broken = _answered(parts.get(BEFORE, ())), _answered(parts.get(BROKEN, ()))
    if not before or not parts.get(BROKEN):
        return Answer("not known", "too few answers to compare")
    if not broken:
        return Answer("no", "nothing was answered while it was broken")
    kinds: tuple[tuple[str, Callable[[Request], str | None]], ...] = (
        ("{} wrote {} of the answers (before: {})", lambda one: one.provider),
        ("{} retrieval for {} (before: {})", lambda one: one.retrieval),
    )
    told = []
    for words, of in kinds:
        then, now = _shares(before, of), _shares(broken, of)
        grown = sorted(name for name, share in now.items() if share - then.get(name, 0.0) >= SHIFTED)
        told += [
            words.format(line(name, limit=40), format_share(now[name]), format_share(then.get(name, 0.0)))
            for name in grown[:MOST_NAMED]
        ]
    return Answer("yes", "; ".join(told)) if told else Answer("no", "answers came from where they came before")


def _answered(requests: Sequence[Request]) -> Sequence[Request]:
    return [one for one in requests if one.outcome == "ok"]


def _shares(requests: Sequence[Request], of: Callable[[Request], str | None]) -> Mapping[str, float]:
    counted = Counter(name for one in requests if (name := of(one)))
    return {name: count / len(requests) for name, count in counted.items()}


def _alerted(step: Step, marks: Sequence[Mark]) -> Answer:
    since = step.fault_on
    # One that came before the fault is not about it.
    alerts = [
        mark
        for mark in marks
        if (mark.source, mark.kind) == ("alert", "detected") and (since is None or mark.at >= since)
    ]
    if alerts:
        first = alerts[0]
        after = "" if since is None else f", {format_seconds((first.at - since).total_seconds())} after the fault"
        more = f"; {len(alerts) - 1} more" if len(alerts) > 1 else ""
        return Answer("yes", f"{line(first.by, limit=60)}{after}{more}")
    would = alert_sentence(step.run.alerts) if step.run else ""
    return Answer("no", f"none reached the drill. {would}".strip())


def _recovered(step: Step, marks: Sequence[Mark], times: Measured | None) -> Answer:
    person = next((mark for mark in marks if (mark.source, mark.kind) == ("person", "mitigated")), None)
    after = (
        [one for one in step.run.judgement.judged if one.block in ("after", "steady-state after")] if step.run else []
    )
    unmet = [one for one in after if one.verdict.outcome != "passed"]
    took = _took(times)
    if person is not None:
        return Answer("no", f"{line(person.by, limit=60)} mitigated it{took}")
    if times is not None and times.by_itself is False and step.outcome != "aborted":
        return Answer("no", f"somebody stepped in{took}")
    if step.outcome in ("aborted", "did not end"):
        return Answer("not known", "the experiment did not come to its end")
    if not after:
        return Answer("not known", "nothing was judged after the heal")
    if unmet:
        return Answer("no", f"{len(unmet)} of {len(after)} checks after the heal did not pass{took}")
    return Answer("yes", f"nobody stepped in, and all {len(after)} checks after the heal passed{took}")


def _took(times: Measured | None) -> str:
    if times is None or times.recovery is None:
        return ""
    if times.recovery <= 0:
        return "; all was well from the heal on"
    return f"; all was well {format_seconds(times.recovery)} after the heal"
