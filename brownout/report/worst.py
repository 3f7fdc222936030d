"""The requests that one wants to look at, each with what went on while it was under way."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.evidence.model import FaultSpan, Request, Transition
from brownout.evidence.recording import Recording
from brownout.report.text import line
from brownout.units import format_seconds

MOST_EVENTS = 8


@dataclass(frozen=True, slots=True)
class Case:
    """A request and what it met."""

    request: Request
    met: tuple[str, ...]


def cases(requests: Sequence[Request], recording: Recording) -> list[Case]:
    """Each of the requests with the faults and breakers that it met, and what the stack says of it."""
    faults, transitions = recording.faults, recording.transitions
    return [Case(request, tuple(_met(request, faults, transitions))) for request in requests]


def _met(request: Request, faults: Sequence[FaultSpan], transitions: Sequence[Transition]) -> list[str]:
    start = request.intended
    end = start if request.done is None else request.done
    timed: list[tuple[float, str]] = []
    standing: dict[str, str] = {}
    for fault in faults:
        off = fault.off
        if fault.on > end or (off is not None and off < start):
            continue
        timed.append((max(fault.on, start), f"{line(fault.title, limit=80)} {'on' if fault.on > start else 'was on'}"))
        if off is not None and off <= end:
            timed.append((off, f"{line(fault.title, limit=80)} off"))
    for transition in transitions:
        if transition.at <= start:
            standing[transition.dependency] = transition.new
        elif transition.at <= end:
            timed.append((transition.at, f"{line(transition.dependency, limit=40)} breaker {transition.new}"))
    told = [f"{line(name, limit=40)} breaker {state}" for name, state in sorted(standing.items()) if state != "closed"]
    for at, what in sorted(timed):
        told.append(what if at <= start else f"{what} after {format_seconds(at - start)}")
    if request.sent - start >= 0.05:
        told.append(f"sent {format_seconds(request.sent - start)} late")
    # The stack's own account of it: a call more than once is a retry or a failover.
    told += [f"{line(name, limit=40)} called {n}×" for name, n in sorted(request.attempts.items()) if n != 1]
    if request.retrieval:
        told.append(f"retrieval {line(request.retrieval, limit=40)}")
    if request.cache_used:
        age = "" if request.cache_age is None else f", {format_seconds(request.cache_age)} old"
        told.append(f"from a cache{age}")
    if request.provider:
        told.append(f"by {line(request.provider, limit=40)}")
    more = len(told) - MOST_EVENTS
    return told if more <= 0 else [*told[:MOST_EVENTS], f"and {more} more"]
