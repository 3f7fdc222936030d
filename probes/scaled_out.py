"""Whether a service was given more replicas."""

from collections.abc import Sequence

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds

from ._counting import too_few
from ._platform import ENDPOINTS, WANTED, figures, unknown
from ._series import MIN_SCRAPES, Point

LOOK = 0.5
"""Seconds from one look to the next: a window that lacks less than that to `within` has shown it all."""


@probe
def scaled_out(window: Window, *, service: ServiceName, to: int, within: Duration) -> Verdict:
    """A service is scaled out: it comes to have so many replicas that take requests.

    It counts what the cluster has behind the service's name, twice a second, and tells when its autoscaler, if it has
    one, wanted so many. A service that had as many when the window began shows nothing: that is inconclusive, never a
    pass.

    Args:
        service: which; the service itself, not one of its replicas.
        to: how many replicas, or more.
        within: so long after the window's start, at the latest.

    Raises:
        ValueError: the arguments make no sense.
    """
    if to < 2:
        msg = "to must be 2 or more: with fewer nothing was scaled out"
        raise ValueError(msg)
    if within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    threshold = f"{to} replicas within {format_seconds(within)}"
    found = figures(window, ENDPOINTS, service)
    if not found:
        return inconclusive(threshold, samples=0, why=unknown(window, ENDPOINTS, service))
    # Several Services may lead to the same pods: to each of them the same happens.
    points = found[0]
    if len(points) < MIN_SCRAPES:
        why = too_few(len(points), f"looks at the endpoints of {service}", least=MIN_SCRAPES)
        return inconclusive(threshold, samples=len(points), why=why)
    if points[0][1] >= to:
        why = f"it had {points[0][1]:.0f} when the window began: nothing shows that it was scaled out"
        return inconclusive(threshold, samples=len(points), why=why)
    after, wanted = _first(points, to), _wanted(window, service, to)
    if after is None and window.length < within - LOOK:
        why = f"the window is only {format_seconds(window.length)} long, and it was not scaled out by its end"
        return inconclusive(threshold, samples=len(points), why=why)
    most = max(count for _, count in points)
    took = None if after is None else after - window.start
    return Verdict(
        "passed" if took is not None and took <= within else "failed",
        f"{most:.0f} at the most" if took is None else f"{to} after {format_seconds(took)}",
        threshold,
        len(points),
        wanted,
        value=took,
        limit=float(within),
        unit="s",
    )


def _first(points: Sequence[Point], to: int) -> float | None:
    return next((at for at, count in points if count >= to), None)


def _wanted(window: Window, service: ServiceName, to: int) -> str:
    """What its autoscaler decided."""
    found = figures(window, WANTED, service)
    if not found:
        return "it has no autoscaler"
    at = _first(found[0], to)
    if at is None:
        return f"its autoscaler wanted {max(count for _, count in found[0]):.0f} at the most"
    return f"its autoscaler wanted so many after {format_seconds(at - window.start)}"
