"""What a circuit breaker did."""

from collections.abc import Sequence
from typing import Literal

from brownout.evidence import Transition, Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import DependencyName
from brownout.units import Duration, format_seconds

from ._breaker_rules import BECAME, flapped, kept_discipline, since, stayed


@probe
def breaker(
    window: Window,
    *,
    dependency: DependencyName,
    state: Literal["closed", "open", "half-open"] | None = None,
    becomes: Literal["closed", "open", "half-open"] | None = None,
    stays: Literal["closed", "open", "half-open"] | None = None,
    never_flaps: bool = False,
    disciplined: bool = False,
    within: Duration | None = None,
    open_at_least: Duration | None = None,
) -> Verdict:
    """What one dependency's circuit breaker did: its state, how it came to be, and whether it kept to the rules.

    State exactly one of state, becomes, stays, never-flaps and disciplined.

    Args:
        dependency: whose breaker.
        state: it is in this state throughout.
        becomes: it comes to this state.
        stays: it is in this state or comes to it, and does not leave it again.
        never_flaps: having closed, it does not open again.
        disciplined: it only goes from closed to open, from there to half-open, and from there to either; and it did
            turn half-open.
        within: at the latest so long after the window's start, which is the moment the fault was really on or off;
            any time in the window where it is not stated. Goes with becomes.
        open_at_least: it stays open for so long before it turns half-open. Goes with disciplined.

    Raises:
        ValueError: the arguments make no sense.
    """
    if sum((state is not None, becomes is not None, stays is not None, never_flaps, disciplined)) != 1:
        msg = "breaker needs exactly one of state, becomes, stays, never-flaps and disciplined"
        raise ValueError(msg)
    if within is not None and (becomes is None or within <= 0):
        msg = "within goes with becomes, and must be above 0"
        raise ValueError(msg)
    if open_at_least is not None and (not disciplined or open_at_least <= 0):
        msg = "open-at-least goes with disciplined, and must be above 0"
        raise ValueError(msg)
    threshold = _asked(state, becomes, stays, within, open_at_least, never_flaps=never_flaps)
    before = window.state_at_start(dependency)
    changes = window.transitions(dependency)
    if window.length <= 0:
        return inconclusive(threshold, samples=0, why="the window is empty")
    if before is None and not changes:
        seen = ", ".join(window.dependencies())
        why = f"no breaker of {dependency} was seen; {f'those seen: {seen}' if seen else 'nor was any other'}"
        return inconclusive(threshold, samples=0, why=why)
    if before is None:
        # The first word on it also tells what it was before; where it does not, it has been so since nobody knows when.
        before = changes[0].old or changes[0].new
    if state is not None:
        verdict = _throughout(window, before, changes, state=state, threshold=threshold)
    elif becomes is not None:
        verdict = _becomes(window, before, changes, becomes=becomes, within=within, threshold=threshold)
    elif stays is not None:
        verdict = stayed(window, before, changes, state=stays, threshold=threshold)
    elif never_flaps:
        verdict = flapped(window, changes, threshold=threshold)
    else:
        history = [change for change in window.history if change.dependency == dependency]
        verdict = kept_discipline(window, history, open_at_least=open_at_least, threshold=threshold)
    return verdict


def _asked(
    state: str | None,
    becomes: str | None,
    stays: str | None,
    within: Duration | None,
    open_at_least: Duration | None,
    *,
    never_flaps: bool,
) -> str:
    if becomes is not None:
        return f"{BECAME[becomes]} within {format_seconds(within) if within is not None else 'the window'}"
    if state is not None or stays is not None:
        return f"{state} throughout" if state is not None else f"{stays} and not left again"
    if never_flaps:
        return "not opened again once closed"
    stretch = f", open for at least {format_seconds(open_at_least)}" if open_at_least is not None else ""
    return f"only transitions that the state machine allows{stretch}"


def _throughout(window: Window, before: str, changes: Sequence[Transition], *, state: str, threshold: str) -> Verdict:
    samples = 1 + len(changes)
    if before != state:
        return Verdict("failed", f"{before} at the start", threshold, samples)
    left = next((change for change in changes if change.new != state), None)
    if left is None:
        return Verdict("passed", f"{state} throughout", threshold, samples)
    return Verdict("failed", since(window, left), threshold, samples, left.reason)


def _becomes(
    window: Window, before: str, changes: Sequence[Transition], *, becomes: str, within: float | None, threshold: str
) -> Verdict:
    samples = 1 + len(changes)
    limit = window.length if within is None else within
    if before == becomes:
        if becomes != "closed":
            why = f"it was {becomes} before the window began, so the window does not show how it came to be"
            return inconclusive(threshold, samples=samples, why=why)
        left = next((index for index, change in enumerate(changes) if change.new != becomes), len(changes))
        if left == len(changes) or changes[left].at - window.start > limit:
            return Verdict("passed", f"{becomes} from the start", threshold, samples, value=0.0, limit=limit, unit="s")
        changes = changes[left:]
    reached = next((change for change in changes if change.new == becomes), None)
    if reached is None and window.length < limit:
        why = f"the window is only {format_seconds(window.length)} long, and it had not {BECAME[becomes]} by its end"
        return inconclusive(threshold, samples=samples, why=why)
    if reached is None:
        now = changes[-1].new if changes else before
        return Verdict(
            "failed", f"{now} after {format_seconds(window.length)}", threshold, samples, limit=limit, unit="s"
        )
    after = reached.at - window.start
    return Verdict(
        "passed" if after <= limit else "failed",
        since(window, reached),
        threshold,
        samples,
        reached.reason,
        value=after,
        limit=limit,
        unit="s",
    )
