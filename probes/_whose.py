"""Whose requests a probe judges."""

from dataclasses import replace
from typing import TypedDict

from brownout.evidence import Requests, Window, derived
from brownout.system import LoadName, TierName


class Whose(TypedDict, total=False):
    """Which of a window's requests are judged; all of them where nothing is said.

    Args:
        tier: only requests of callers of this tier.
        load: only requests of this stream of the load.
    """

    tier: TierName | None
    load: LoadName | None


def chosen(window: Window, *, tier: TierName | None = None, load: LoadName | None = None) -> Window:
    """The window with only those requests in it, and in its baseline."""
    if tier is None and load is None:
        return window
    baseline = window.baseline
    return replace(
        window,
        requests=_chosen(window.requests, tier, load),
        baseline=None if baseline is None else replace(baseline, requests=_chosen(baseline.requests, tier, load)),
    )


@derived
def _chosen(requests: Requests, tier: str | None, load: str | None) -> Requests:
    columns = zip(requests.tier, requests.load, strict=True)
    return requests.where([tier in (None, of_tier) and load in (None, of_load) for of_tier, of_load in columns])
