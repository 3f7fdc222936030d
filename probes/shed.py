"""Whose requests are turned away when there is too much to do."""

from brownout.evidence import Window
from brownout.probe import Verdict, probe
from brownout.system import LoadName, TierName
from brownout.units import Share, format_share

from ._counting import asked_for, check_limits, judge_share
from ._whose import chosen


@probe
def shed(
    window: Window,
    *,
    tier: TierName,
    at_least: Share | None = None,
    at_most: Share | None = None,
    status: int = 429,
    retry_after: bool = False,
    load: LoadName | None = None,
) -> Verdict:
    """The share of one tier's requests that were turned away.

    Args:
        tier: whose requests.
        at_least: passed when the share is this or more: the tier makes way.
        at_most: passed when the share is this or less: the tier is spared. State exactly one of the two.
        status: the HTTP status by which a request is turned away.
        retry_after: only those count that were told when to try again.
        load: only requests of this stream of the load.

    Raises:
        ValueError: the arguments make no sense.
    """
    check_limits("shed", at_least=at_least, at_most=at_most)
    if (at_least is not None and at_least <= 0) or (at_most is not None and at_most >= 1):
        msg = "a limit that every share meets asks for nothing"
        raise ValueError(msg)
    requests = chosen(window, load=load).requests
    of: dict[str, list[int]] = {}
    for each, code, wait in zip(requests.tier, requests.status, requests.retry_after, strict=True):
        # NaN, of who was told nothing, fails the comparison.
        of.setdefault(each, []).append(code == status and (wait >= 0 or not retry_after))
    away = {each: sum(flags) for each, flags in of.items()}
    limit = at_least if at_least is not None else at_most
    return judge_share(
        away.get(tier, 0),
        len(of.get(tier, ())),
        what=f"requests of tier {tier}",
        threshold=f"{'at most' if at_least is None else 'at least'} {asked_for(limit or Share(0.0))} of {tier} shed",
        at_least=at_least,
        at_most=at_most,
        figure=f" of {tier} shed",
        why=", ".join(f"{each} {format_share(away[each] / len(of[each]))}" for each in sorted(of) if each != tier),
    )
