"""Whether another provider takes over from the first."""

from brownout.evidence import Requests, Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import DependencyName
from brownout.units import Duration, Share, format_seconds

from ._counting import asked_for, check_share, kinds_of_attempts
from ._settling import judge_settling

NEARLY_ALL = Share(0.95)
FIRST = DependencyName("llm-primary")


@probe
def failover(
    window: Window,
    *,
    first: DependencyName = FIRST,
    to: DependencyName | None = None,
    share: Share = NEARLY_ALL,
    within: Duration | None = None,
) -> Verdict:
    """The share of requests that another provider than the first answered.

    A request that got no complete answer counts against it, as does an answer that names no provider. An answer of
    level 0 for which no provider was called came from the cache as it does on any day, and is left out. Where others
    than the first have a share of the requests on any day, that share counts as well: ask for more.

    Args:
        first: the provider that answers when all is well, by its name in the answers.
        to: the provider that must take over; any other one where it is not stated.
        share: how many requests must be answered so.
        within: the share need not hold from the start, but from some moment no later than this until the window's end.

    Raises:
        ValueError: the arguments make no sense.
    """
    check_share("share", share)
    if within is not None and within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    if to == first:
        msg = "to must be another provider than first"
        raise ValueError(msg)
    counted = _that_needed_a_provider(window.requests, first)
    providers, outcomes = counted.provider, counted.outcome
    fits = [
        outcome == "ok" and provider not in (None, first) and to in (None, provider)
        for outcome, provider in zip(outcomes, providers, strict=True)
    ]
    fitting = f"answered by {to or 'another provider'}"
    if "ok" in outcomes and not any(providers):
        return inconclusive(f"{asked_for(share)} {fitting}", samples=len(counted), why="no answer names its provider")

    def last(number: int) -> str:
        by = (
            f"answered by {providers[number] or 'nobody that it names'}" if outcomes[number] == "ok" else "not answered"
        )
        return f"last request {by} at {format_seconds(counted[number].intended - window.start)}"

    return judge_settling(
        window, counted.intended, fits, share=share, within=within, what="requests", fitting=fitting, last=last
    )


def _that_needed_a_provider(requests: Requests, first: str) -> Requests:
    names = {first, *requests.provider} - {None}
    kinds = kinds_of_attempts(requests)
    without = {id(attempts) for attempts in kinds if names.isdisjoint(attempts)}
    # A stack that counts no calls is not accused of making none.
    if len(without) == len(kinds):
        return requests
    needed = [
        level != 0 or outcome != "ok" or id(attempts) not in without
        for attempts, outcome, level in zip(requests.attempts, requests.outcome, requests.level, strict=True)
    ]
    return requests if all(needed) else requests.where(needed)
