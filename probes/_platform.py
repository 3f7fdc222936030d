"""What the platform that runs the services said of them."""

from collections.abc import Sequence

from brownout.evidence import Window
from brownout.system import ServiceName

from ._series import Point, series_of

ENDPOINTS = "service_endpoints"
"""How many endpoints of a service take requests."""
WANTED = "autoscaler_desired_replicas"
"""How many replicas its autoscaler wants."""


def figures(window: Window, metric: str, service: ServiceName) -> Sequence[Sequence[Point]]:
    """Every series of a metric that is about a service, in order of time."""
    found = series_of(window, metric, wanted=lambda labels: labels.get("service") == service)
    return [found[key] for key in sorted(found)]


def unknown(window: Window, metric: str, service: ServiceName) -> str:
    """Why nothing can be said of it."""
    seen = sorted({dict(one.labels).get("service", "") for one in window.samples if one.metric == metric})
    also = f"of these it was: {', '.join(seen)}" if seen else "nor of any other service"
    return f"nothing was recorded of {service}; {also}"
