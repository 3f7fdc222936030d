"""What several probes count alike."""

from collections.abc import Iterable, Mapping, Sequence

from brownout.evidence import Requests, Window, derived
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive
from brownout.statistics import share_interval
from brownout.units import Share, format_share


def served(requests: Requests) -> Sequence[bool]:
    """For each, whether it got a complete answer, degraded or not. A rate limit is none, nor is an endless wait."""
    return [outcome == "ok" for outcome in requests.outcome]


@derived
def _answers(requests: Requests) -> Requests:
    return requests.where(served(requests))


def answers(window: Window) -> Requests:
    """The requests that ended with a complete answer."""
    return _answers(window.requests)


@derived
def kinds_of_attempts(requests: Requests) -> Sequence[Mapping[str, int]]:
    """What the requests say of the calls made for them, each object once: most share one with many others."""
    return list({id(attempts): attempts for attempts in requests.attempts}.values())


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The first of those that failed, else of the inconclusive ones, else of all."""
    return min(verdicts, key=lambda one: ("failed", "inconclusive", "passed").index(one.outcome))


def too_few(count: int, what: str, *, least: int = MIN_SAMPLES) -> str:
    """`12 requests; at least 20 are needed`."""
    noun = what if count != 1 else what.removesuffix("s")
    return f"{count or 'no'} {noun}; at least {least} are needed to tell"


def asked_for(share: Share) -> str:
    """A share as its author wrote it: `99 %`, `99.9 %`."""
    return f"{share * 100:.10g} %"


def check_share(name: str, share: Share | None) -> None:
    """Raises `ValueError` for a share that everything or nothing could meet."""
    if share is not None and not 0 < share <= 1:
        msg = f"{name} must lie above 0% and be at most 100%"
        raise ValueError(msg)


def check_limits(name: str, **limits: float | None) -> None:
    """Raises `ValueError` unless exactly one is stated."""
    if sum(limit is not None for limit in limits.values()) != 1:
        keys = [key.replace("_", "-") for key in limits]
        msg = f"{name} needs exactly one of {', '.join(keys[:-1])} and {keys[-1]}"
        raise ValueError(msg)


def judge_share(
    hits: int,
    of: int,
    *,
    what: str,
    threshold: str,
    at_least: Share | None = None,
    at_most: Share | None = None,
    figure: str = "",
    why: str = "",
) -> Verdict:
    """Whether a share is at least or at most so much; exactly one of the two is stated.

    Args:
        hits: how many count.
        of: of how many. With fewer than `MIN_SAMPLES` it is inconclusive.
        what: what those are, in the plural: `requests`.
        threshold: for people.
        at_least: the share that passes, or more.
        at_most: the share that passes, or less.
        figure: follows the share: ` at level 0`.
        why: one sentence more.
    """
    if of < MIN_SAMPLES:
        return inconclusive(threshold, samples=of, why=too_few(of, what))
    share = hits / of
    low, high = share_interval(hits, of)
    return Verdict(
        "passed" if (share >= at_least if at_least is not None else share <= (at_most or 0.0)) else "failed",
        f"{format_share(share)}{figure}",
        threshold,
        of,
        why,
        value=share,
        limit=at_least if at_least is not None else at_most,
        unit="share",
        low=low,
        high=high,
    )
