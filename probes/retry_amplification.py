"""How many calls one question costs the dependencies behind."""

from collections.abc import Callable, Mapping

from brownout.evidence import Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.system import DependencyPattern

from ._counting import kinds_of_attempts, too_few
from ._series import MIN_SCRAPES, growth, scrapes_of, series_of

NOT_MADE = "refused"
"""`outcome` of a call that a circuit breaker kept from being made."""


@probe
def retry_amplification(
    window: Window,
    *,
    to: DependencyPattern,
    at_most: float,
    per_answer: int | None = None,
    metric: str = "dependency_calls_total",
    label: str = "dependency",
) -> Verdict:
    """Calls made to a dependency per request of a user, retries and failovers included.

    The calls are counted where they are made, from a scraped counter; the requests where they are sent. Calls whose
    label `outcome` is `refused` were not made and do not count.

    Args:
        to: the dependency, by its label; with a trailing *, all whose labels begin so: `llm-*`.
        at_most: calls per request, on average.
        per_answer: no answer may have taken more calls than this, as it says itself.
        metric: the counter of calls.
        label: its label that names the dependency.

    Raises:
        ValueError: the arguments make no sense.
    """
    if at_most <= 0 or (per_answer is not None and per_answer < 1):
        msg = "at-most must be above 0, and per-answer at least 1"
        raise ValueError(msg)
    threshold = f"at most {at_most:g} calls to {to} per request"
    threshold += f", {per_answer} for any answer" if per_answer is not None else ""

    def meant(dependency: str) -> bool:
        return dependency.startswith(to[:-1]) if to.endswith("*") else dependency == to

    def wanted(labels: Mapping[str, str]) -> bool:
        return meant(labels.get(label, "")) and labels.get("outcome") != NOT_MADE

    kinds = kinds_of_attempts(window.requests)
    worst = max((_calls(attempts, meant) for attempts in kinds), default=0)
    if per_answer is not None and worst > per_answer:
        figure = f"{worst} calls for one answer"
        return Verdict("failed", figure, threshold, len(window.requests), value=float(worst), limit=float(per_answer))
    if per_answer is not None and not any(kinds):
        return inconclusive(threshold, samples=len(window.requests), why="no answer says what calls it took")
    series = series_of(window, metric, wanted=wanted)
    looks = scrapes_of(window, {source for source, _ in series})
    if len(looks) < MIN_SCRAPES:
        why = f"{metric} of {to} was {f'read {len(looks)} times' if looks else 'never seen'}"
        return inconclusive(threshold, samples=len(looks), why=why)
    # Both are counted between the first look and the last.
    asked = sum(looks[0] <= sent < looks[-1] for sent in window.requests.sent)
    if asked < MIN_SAMPLES:
        return inconclusive(threshold, samples=asked, why=too_few(asked, "requests"))
    calls = growth(window, series)
    return Verdict(
        "passed" if calls / asked <= at_most else "failed",
        f"{calls / asked:.3g} calls per request",
        threshold,
        asked,
        f"{calls:.0f} calls for {asked} requests; {worst} for one answer at most",
        value=calls / asked,
        limit=at_most,
    )


def _calls(attempts: Mapping[str, int], meant: Callable[[str], bool]) -> int:
    return sum(count for dependency, count in attempts.items() if meant(dependency))
