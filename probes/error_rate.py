"""How many requests failed, and by whose fault."""

from collections import Counter
from dataclasses import replace
from typing import Literal, Unpack

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.units import Share

from ._counting import asked_for, check_limits, judge_share
from ._whose import Whose, chosen

UNSTATED = "unstated"


@probe
def error_rate(
    window: Window,
    *,
    at_most: Share | None = None,
    above: Share | None = None,
    source: Literal["provider", "own_system", "rate_limit", "unstated"] | None = None,
    **whose: Unpack[Whose],
) -> Verdict:
    """The share of requests that failed; by one source's fault alone, where one is named.

    A failed request is one without a complete answer. Whose fault it was is what the error says (`error_source`);
    `unstated` are those where nothing said so: refused connections, timeouts, cut streams, requests still unanswered.

    Args:
        at_most: passed when the share is this or less.
        above: passed when the share is more; for abort conditions. State exactly one of the two.
        source: count only failures of this source; of all requests, still.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    check_limits("error_rate", at_most=at_most, above=above)
    limit = at_most if at_most is not None else above
    if limit is None or limit >= 1:
        msg = "a limit of 100% is one that nothing could exceed"
        raise ValueError(msg)
    requests = window.requests
    sources = Counter(
        source or UNSTATED
        for source, outcome in zip(requests.error_source, requests.outcome, strict=True)
        if outcome != "ok"
    )
    verdict = judge_share(
        sources[source] if source else sources.total(),
        len(requests),
        what="requests",
        threshold=f"{'above' if at_most is None else 'at most'} {asked_for(limit)}{_by(source)}",
        at_most=limit,
        figure=_by(source),
        why=", ".join(f"{count} {name}" for name, count in sources.most_common()),
    )
    if at_most is None and verdict.outcome != "inconclusive":
        return replace(verdict, outcome="passed" if verdict.outcome == "failed" else "failed")
    return verdict


def _by(source: str | None) -> str:
    return f" ({source})" if source else ""
