"""Rules that a circuit breaker keeps, read off its recorded transitions."""

from collections.abc import Sequence
from itertools import pairwise

from brownout.evidence import Transition, Window
from brownout.probe import Verdict, inconclusive
from brownout.units import Duration, format_seconds

BECAME = {"closed": "closed", "open": "opened", "half-open": "half-opened"}
ALLOWED = frozenset((("closed", "open"), ("open", "half-open"), ("half-open", "closed"), ("half-open", "open")))
"""Every change of state that there is, as of Nygard, Release It!, and of every breaker library."""
TOLERANCE = 0.01
"""Seconds: the breaker waits on one clock, and its transitions are told by another."""


def since(window: Window, change: Transition) -> str:
    """`opened after 1.4 s`."""
    return f"{BECAME.get(change.new, change.new)} after {format_seconds(change.at - window.start)}"


def stayed(window: Window, before: str, changes: Sequence[Transition], *, state: str, threshold: str) -> Verdict:
    """Whether it is in a state or comes to it, and does not leave it again."""
    samples = 1 + len(changes)
    came = 0 if before == state else next((n for n, each in enumerate(changes, 1) if each.new == state), None)
    if came is None:
        now = changes[-1].new if changes else before
        return Verdict("failed", f"{now} after {format_seconds(window.length)}", threshold, samples)
    left = next((change for change in changes[came:] if change.new != state), None)
    if left is not None:
        return Verdict("failed", since(window, left), threshold, samples, left.reason)
    figure = f"{state} throughout" if came == 0 else f"{since(window, changes[came - 1])}, and stayed so"
    return Verdict("passed", figure, threshold, samples)


def flapped(window: Window, changes: Sequence[Transition], *, threshold: str) -> Verdict:
    """Whether it opened again after it had closed. A failed probe, which opens a half-open breaker, is no flap."""
    closed, again = False, []
    for change in changes:
        if change.new == "open" and closed:
            again.append(change)
        if change.new in ("closed", "open"):
            closed = change.new == "closed"
    samples = 1 + len(changes)
    if again:
        figure = f"opened again {len(again)} times, first after {format_seconds(again[0].at - window.start)}"
        return Verdict("failed", figure, threshold, samples, again[0].reason, value=float(len(again)), limit=0.0)
    return Verdict("passed", "never opened again", threshold, samples, value=0.0, limit=0.0)


def kept_discipline(
    window: Window, history: Sequence[Transition], *, open_at_least: Duration | None, threshold: str
) -> Verdict:
    """Whether every change of state in the window is one that the state machine allows, and none came too early.

    `history` is of one dependency, from before the window on: how long it was open may reach back there.
    """
    steps = [
        (before, change)
        for before, change in pairwise((None, *history))
        if change is not None and change.old is not None and window.start < change.at < window.end
    ]
    for _, change in steps:
        if (change.old, change.new) not in ALLOWED:
            figure = f"from {change.old} to {change.new} after {format_seconds(change.at - window.start)}"
            return Verdict("failed", figure, threshold, len(steps), change.reason)
    for before, change in steps:
        if before is not None and before.new != change.old:
            why = f"between {before.new} and {change.old} a transition was not recorded"
            return inconclusive(threshold, samples=len(steps), why=why)
    if not any(change.new == "half-open" for _, change in steps):
        why = "it never turned half-open in the window, so that its discipline was not tried"
        return inconclusive(threshold, samples=len(steps), why=why)
    probed = [(before, change) for before, change in steps if change.new == "half-open" and before is not None]
    if open_at_least is None:
        return Verdict("passed", f"{len(steps)} transitions, all allowed", threshold, len(steps))
    if not probed:
        why = "it was open since before anything was recorded of it"
        return inconclusive(threshold, samples=len(steps), why=why)
    shortest = min(change.at - before.at for before, change in probed)
    return Verdict(
        "passed" if shortest >= open_at_least - TOLERANCE else "failed",
        f"open for {format_seconds(shortest)} at least",
        threshold,
        len(steps),
        value=shortest,
        limit=open_at_least,
        unit="s",
    )
