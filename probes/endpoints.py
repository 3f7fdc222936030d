"""Whether a service has somebody behind it who takes its requests."""

from collections.abc import Sequence
from itertools import pairwise

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds

from ._counting import too_few, worst
from ._platform import ENDPOINTS, figures, unknown
from ._series import MIN_SCRAPES, Point


@probe
def endpoints(window: Window, *, service: ServiceName, at_least: int, within: Duration | None = None) -> Verdict:
    """So many endpoints of a service take requests whenever the cluster was asked, to the window's end.

    Endpoints are the addresses that a cluster sends a Service's requests to: those of its pods that are ready. The
    cluster is asked twice a second. Where several Services lead to the same pods, the verdict is the worst of them.

    Args:
        service: whose; the service itself, not one of its replicas.
        at_least: how many.
        within: from so long after the window's start on, at the latest; throughout the window where it is not stated.

    Raises:
        ValueError: the arguments make no sense.
    """
    if at_least < 1:
        msg = "at-least must be 1 or more"
        raise ValueError(msg)
    if within is not None and within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    threshold = f"at least {at_least}" + ("" if within is None else f" within {format_seconds(within)}")
    found = figures(window, ENDPOINTS, service)
    if not found:
        return inconclusive(threshold, samples=0, why=unknown(window, ENDPOINTS, service))
    due = window.start + (within or 0.0)
    after = f" after the first {format_seconds(within)}" if within else ""
    return worst(
        _of_one([one for one in points if one[0] >= due], service, at_least, threshold, after) for points in found
    )


def _of_one(points: Sequence[Point], service: str, at_least: int, threshold: str, after: str) -> Verdict:
    if len(points) < MIN_SCRAPES:
        why = too_few(len(points), f"looks at the endpoints of {service}{after}", least=MIN_SCRAPES)
        return inconclusive(threshold, samples=len(points), why=why)
    least = min(count for _, count in points)
    too_few_for = sum(later - at for (at, count), (later, _) in pairwise(points) if count < at_least)
    enough = least >= at_least
    return Verdict(
        "passed" if enough else "failed",
        f"{least:.0f} at the least{after}",
        threshold,
        len(points),
        "" if enough else f"fewer than {at_least} for {format_seconds(too_few_for)}",
        value=least,
        limit=float(at_least),
    )
