"""The headline: what happened, in plain words, made from evidence alone; and the run's story as a list."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from brownout.evidence.model import FaultSpan, Transition
from brownout.evidence.recording import Recording
from brownout.judge import Judgement
from brownout.report.figures import merged, stretch
from brownout.report.text import grouped, line, listing, plural
from brownout.units import format_seconds, format_share

MOST_NAMED = 2
"""Faults and breakers told of one by one; of more, only how many."""
MOST_TOLD = 200

BLOCKS: Mapping[str, str] = {
    "steady-state before": "Steady state, before the method",
    "during": "While broken",
    "after": "After the heal",
    "steady-state after": "Steady state, at the end",
    "abort": "Abort conditions",
}
"""The blocks of checks, for people, in the order of the run."""
ICONS: Final[Mapping[str, str]] = {"passed": "✓", "failed": "✗", "inconclusive": "?", "aborted": "■"}
"""A shape for every outcome, so that none is told by colour alone."""


def headline(recording: Recording, judgement: Judgement, *, duration: float) -> str:
    """A few sentences for somebody who reads nothing else."""
    sentences = []
    reason = line(judgement.reasons[0]).rstrip(".") if judgement.reasons else ""
    if judgement.outcome == "aborted":
        at = next((e.at for e in recording.events if e.kind == "abort"), None)
        sentences.append(
            "The run was aborted" + (f" at {at:.1f} s" if at is not None else "") + (f": {reason}." if reason else ".")
        )
    elif judgement.outcome == "inconclusive":
        sentences.append(f"No verdict can be given: {reason}." if reason else "No verdict can be given.")
    sentences += [_faults(recording.faults, duration), _users(recording, duration)]
    sentences += _breakers(recording)
    sentences.append(_checks(judgement))
    return " ".join(filter(None, sentences))


def further_reasons(judgement: Judgement) -> tuple[str, ...]:
    """The reasons that the headline has not given: of a run without a verdict of its own it gives the first."""
    return judgement.reasons[1:] if judgement.outcome in ("aborted", "inconclusive") else judgement.reasons


def _faults(spans: Sequence[FaultSpan], duration: float) -> str:
    if not spans:
        return "No fault was on."
    if len(spans) > MOST_NAMED:
        broken = sum(off - on for on, off in merged(spans, end=duration))
        return f"{plural(len(spans), 'fault')} were injected; for {format_seconds(broken)} at least one was on."
    return " ".join(_fault(span) for span in spans)


def _fault(span: FaultSpan) -> str:
    title = line(span.title)
    place = title.removeprefix(span.fault).strip()
    lasted = "and was still on when the run ended" if span.off is None else f"for {_span(span.off - span.on)}"
    if span.fault == "partition" and place:
        return f"The link {place} was severed {lasted}."
    if span.fault == "latency" and place:
        return f"The link {place} was slowed {lasted}."
    return f"“{title}” was on {lasted}." if span.off is not None else f"“{title}” was injected {lasted}."


def _span(seconds: float) -> str:
    """A span to a tenth of a second, which is what a headline needs: `20.0 s`."""
    return f"{seconds:.1f} s" if 0.1 <= seconds < 120 else format_seconds(seconds)


def _users(recording: Recording, duration: float) -> str:
    spans = merged(recording.faults, end=duration)
    inside = [r for r in recording.requests if not spans or any(on <= r.intended < off for on, off in spans)]
    seen = stretch("", duration, inside)
    share, degraded = seen.availability, seen.degraded_share
    if share is None:
        return "No request was recorded meanwhile." if spans else "No request was recorded."
    figure = format_share(share)
    when = " meanwhile" if spans else ""
    if share == 0:
        return f"None of the {grouped(seen.requests)} requests made{when} was answered."
    if share >= 0.99:
        said = f"Users kept getting answers ({figure})"
    elif share >= 0.9:
        said = f"Most users kept getting answers ({figure})"
    else:
        said = f"Only {figure} of the requests made{when} were answered"
    if degraded is None or all(r.level is None for r in inside if r.outcome == "ok"):
        # Of a system that says of no answer what it is, this would be no praise.
        return said + "."
    return (
        f"{said}, {format_share(degraded)} of them marked as degraded."
        if degraded
        else f"{said}, none of them marked as degraded."
    )


def _breakers(recording: Recording) -> list[str]:
    """For every breaker that opened once a fault was on: how soon, and how soon after the heal it closed for good."""
    if not recording.faults or not recording.transitions:
        return []
    by_name: dict[str, list[Transition]] = {}
    for transition in recording.transitions:
        by_name.setdefault(transition.dependency, []).append(transition)
    told = [text for name, history in sorted(by_name.items()) if (text := _breaker(name, history, recording.faults))]
    if not told:
        return ["No breaker opened."]
    if len(told) > MOST_NAMED:
        return [f"{len(told)} of the {len(by_name)} breakers that were watched opened."]
    text = listing(told)
    return [text[0].upper() + text[1:] + "."]


def _breaker(name: str, history: Sequence[Transition], faults: Sequence[FaultSpan]) -> str:
    """Timed against the last fault that was on, or off, before it."""
    first = min(fault.on for fault in faults)
    opened = next((t.at for t in history if t.new == "open" and t.at >= first), None)
    if opened is None:
        return ""
    text = (
        f"the {line(name)} breaker opened after {format_seconds(opened - max(f.on for f in faults if f.on <= opened))}"
    )
    last = history[-1]
    if last.new != "closed":
        return f"{text} and was still {last.new} when the run ended"
    if any(f.on <= last.at and (f.off is None or f.off > last.at) for f in faults):
        return f"{text} and closed again while a fault was on"
    heal = max(f.off for f in faults if f.off is not None and f.off <= last.at)
    return f"{text} and closed {format_seconds(last.at - heal)} after the heal"


def _checks(judgement: Judgement) -> str:
    outcomes = [one.verdict.outcome for one in judgement.judged if one.block != "abort"]
    # What the checks say of a run that was cut short is no praise and no finding.
    if not outcomes or judgement.outcome == "aborted":
        return ""
    failed, unclear = outcomes.count("failed"), outcomes.count("inconclusive")
    if not failed and not unclear and judgement.outcome == "inconclusive":
        return ""
    if not failed and not unclear:
        return "The only check passed." if len(outcomes) == 1 else f"All {len(outcomes)} checks passed."
    parts = [f"{failed} failed"] if failed else []
    parts += [f"{unclear} could not be decided"] if unclear else []
    return f"Of {plural(len(outcomes), 'check')}, {' and '.join(parts)}."


@dataclass(frozen=True, slots=True)
class Moment:
    """One line of the run's story."""

    at: float
    kind: str
    text: str


def story(recording: Recording) -> list[Moment]:
    """Everything with a time and a meaning, in order: faults, breakers, aborts, errors, warnings, notes."""
    moments = [Moment(e.at, e.kind, line(e.text)) for e in recording.events if e.kind != "platform"]
    for span in recording.faults:
        moments.append(Moment(span.on, "fault", f"{line(span.title)}: on"))
        if span.off is not None:
            moments.append(Moment(span.off, "fault", f"{line(span.title)}: off"))
    for t in recording.transitions:
        if t.old is not None:
            why = f" ({line(t.reason)})" if t.reason else ""
            moments.append(Moment(t.at, "breaker", f"{line(t.dependency)}: {t.old} → {t.new}{why}"))
    return sorted(moments, key=lambda m: m.at)[:MOST_TOLD]
