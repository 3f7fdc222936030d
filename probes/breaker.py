"""What a circuit breaker did."""

from collections.abc import Sequence
from typing import Literal

from brownout.evidence import Transition, Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.units import Duration, format_seconds

_BECAME = {"closed": "closed", "open": "opened", "half-open": "half-opened"}


@probe
def breaker(
    window: Window,
    *,
    dependency: str,
    state: Literal["closed", "open", "half-open"] | None = None,
    becomes: Literal["closed", "open", "half-open"] | None = None,
    within: Duration | None = None,
) -> Verdict:
    """The state of one dependency's circuit breaker, throughout the window or from some moment on.

    Args:
        dependency: whose breaker.
        state: it is in this state throughout.
        becomes: it comes to this state. State exactly one of the two.
        within: at the latest so long after the window's start, which is the moment the fault was really on or off;
            any time in the window where it is not stated.

    Raises:
        ValueError: the arguments make no sense.
    """
    if (state is None) == (becomes is None):
        msg = "breaker needs exactly one of state and becomes"
        raise ValueError(msg)
    if within is not None and (becomes is None or within <= 0):
        msg = "within goes with becomes, and must be above 0"
        raise ValueError(msg)
    in_time = f" within {format_seconds(within)}" if within is not None else " within the window"
    threshold = f"{state} throughout" if becomes is None else f"{_BECAME[becomes]}{in_time}"
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
    if becomes is None:
        return _throughout(window, before, changes, state=str(state), threshold=threshold)
    return _becomes(window, before, changes, becomes=becomes, within=within, threshold=threshold)


def _throughout(window: Window, before: str, changes: Sequence[Transition], *, state: str, threshold: str) -> Verdict:
    samples = 1 + len(changes)
    if before != state:
        return Verdict("failed", f"{before} at the start", threshold, samples)
    left = next((change for change in changes if change.new != state), None)
    if left is None:
        return Verdict("passed", f"{state} throughout", threshold, samples)
    return Verdict("failed", _since(window, left), threshold, samples, left.reason)


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
        why = f"the window is only {format_seconds(window.length)} long, and it had not {_BECAME[becomes]} by its end"
        return inconclusive(threshold, samples=samples, why=why)
    if reached is None:
        now = changes[-1].new if changes else before
        return Verdict(
            "failed", f"{now} after {format_seconds(window.length)}", threshold, samples, limit=limit, unit="s"
        )
    after = reached.at - window.start
    return Verdict(
        "passed" if after <= limit else "failed",
        _since(window, reached),
        threshold,
        samples,
        reached.reason,
        value=after,
        limit=limit,
        unit="s",
    )


def _since(window: Window, change: Transition) -> str:
    return f"{_BECAME.get(change.new, change.new)} after {format_seconds(change.at - window.start)}"
