"""Error budget, burn rate, and whether an SLO's alerts would have fired."""

from collections.abc import Sequence
from typing import Literal, Unpack

from brownout.evidence import Requests, Window
from brownout.probe import MIN_SAMPLES, Verdict, inconclusive, probe
from brownout.slo import FEWEST, HOUR_OF_A_RUN, budget, burn_rate, firings
from brownout.statistics import share_interval
from brownout.units import Duration, Latency, Share, format_seconds

from ._counting import asked_for, check_limits, too_few
from ._quantiles import times_to_end, times_to_first_token
from ._whose import Whose, chosen

HOUR = Duration(HOUR_OF_A_RUN)


@probe
def slo(
    window: Window,
    *,
    objective: Share,
    ttft: Latency | None = None,
    total: Latency | None = None,
    burn_at_most: float | None = None,
    spends_at_most: Duration | None = None,
    alert: Literal["page", "ticket", "none"] | None = None,
    within: Duration | None = None,
    hour: Duration = HOUR,
    **whose: Unpack[Whose],
) -> Verdict:
    """The burn rate of an objective's error budget, the part of a 30-day month's budget spent, or its alerts.

    A request is good where it got a complete answer, in time where a time is stated. The alerts are the multi-window,
    multi-burn-rate ones of Google's SRE workbook (page: 14.4× over 1 h and 5 min, or 6× over 6 h and 30 min; ticket: 1×
    over 3 d and 6 h), on windows scaled to a run's length by `hour`; before the window all is taken to have been well.

    Args:
        objective: the share of requests that must be good: 99.9%.
        ttft: a good request has its first token within this time.
        total: a good request is complete within this time.
        burn_at_most: the budget is spent at most so many times faster than the objective allows.
        spends_at_most: of the budget at most so much is spent, told as time of total outage: 43min 12s is a month's at
            99.9 %.
        alert: one of this kind fires; or none fires. State exactly one of burn-at-most, spends-at-most and alert.
        within: the alert fires at the latest so long after the window's start.
        hour: what stands for an hour of the alerts' windows.

    Raises:
        ValueError: the arguments make no sense.
    """
    window = chosen(window, **whose)
    check_limits("slo", burn_at_most=burn_at_most, spends_at_most=spends_at_most, alert=alert and 1.0)
    if not 0 < objective < 1:
        msg = "objective must lie between 0% and 100%: at 100% there is no budget"
        raise ValueError(msg)
    if any(one is not None and one <= 0 for one in (ttft, total, burn_at_most, spends_at_most, within, hour)):
        msg = "times and limits must be above 0"
        raise ValueError(msg)
    if within is not None and alert in (None, "none"):
        msg = "within goes with an alert that is to fire"
        raise ValueError(msg)
    requests = window.requests
    bad = _bad(requests, ttft, total)
    asked, failed = len(bad), sum(bad)
    if alert is not None:
        return _alerts(window, requests.intended, bad, objective=objective, alert=alert, within=within, hour=hour)
    if burn_at_most is not None:
        threshold = f"burning at most {burn_at_most:g}× at {asked_for(objective)}"
    else:
        threshold = f"spending at most {format_seconds(spends_at_most or 0.0)} at {asked_for(objective)}"
    if asked < MIN_SAMPLES:
        return inconclusive(threshold, samples=asked, why=too_few(asked, "requests"))
    burn, spent = burn_rate(failed, asked, objective), failed / asked * window.length
    value, limit, scale = (
        (burn, burn_at_most, 1 / (1 - objective))
        if burn_at_most is not None
        else (spent, spends_at_most or 0.0, window.length)
    )
    low, high = (end * scale for end in share_interval(failed, asked))
    return Verdict(
        "passed" if value <= limit else "failed",
        f"burning {burn:.3g}×, {spent / 60:.3g} of {budget(objective) / 60:.3g} min of a 30-day month spent",
        threshold,
        asked,
        f"{failed} of {asked} requests were not good" if failed else "",
        value=value,
        limit=limit,
        unit="" if burn_at_most is not None else "s",
        low=low,
        high=high,
    )


def _bad(requests: Requests, ttft: Latency | None, total: Latency | None) -> list[bool]:
    bad = [outcome != "ok" for outcome in requests.outcome]
    if ttft is not None:
        bad = [was or one > ttft for was, one in zip(bad, times_to_first_token(requests), strict=True)]
    if total is not None:
        bad = [was or one > total for was, one in zip(bad, times_to_end(requests), strict=True)]
    return bad


def _alerts(
    window: Window,
    times: Sequence[float],
    bad: Sequence[bool],
    *,
    objective: Share,
    alert: str,
    within: Duration | None,
    hour: Duration,
) -> Verdict:
    in_time = f" within {format_seconds(within)}" if within is not None else ""
    threshold = f"{'no alert' if alert == 'none' else f'a {alert}'}{in_time} at {asked_for(objective)}"
    # Of two guesses at the traffic before the window, the one that makes it harder to pass.
    before = len(times) if alert != "none" else bad.count(False)
    unseen = before / window.length if window.length else 0.0
    looks = firings(times, bad, objective=objective, start=window.start, end=window.end, hour=hour, unseen=unseen)
    watched = [one for one in looks if one.watched and alert in ("none", one.alert.name)]
    if not watched:
        why = f"no alert's long window held the {FEWEST} requests that it needs to tell"
        return inconclusive(threshold, samples=len(times), why=why)
    fired = {one.alert: one.at for one in watched if one.at is not None}
    if not fired:
        if alert != "none" and within is not None and window.length < within:
            why = f"the window is only {format_seconds(window.length)} long, and no alert had fired by its end"
            return inconclusive(threshold, samples=len(times), why=why)
        return Verdict("passed" if alert == "none" else "failed", "no alert fired", threshold, len(times))
    first = min(fired, key=lambda one: fired[one])
    after = fired[first] - window.start
    in_time_at_all = alert != "none" and (within is None or after <= within)
    return Verdict(
        "passed" if in_time_at_all else "failed",
        f"a {first.name} fired after {format_seconds(after)}",
        threshold,
        len(times),
        f"burning {first.burn:g}× over {format_seconds(first.long * hour)} and {format_seconds(first.short * hour)}",
        value=after,
        limit=within,
        unit="s",
    )
