"""What the target said of its services."""

from collections.abc import Sequence

from brownout.evidence import Sample, Window
from brownout.system import ServiceName

UP = "service_up"
READY = "service_ready"
RESTARTS = "service_restarts_total"


def recorded(window: Window) -> Sequence[str]:
    """The services of which anything is known."""
    return sorted({dict(one.labels).get("service", "") for one in window.samples if one.metric == READY})


def replicas(window: Window, service: ServiceName) -> Sequence[str]:
    """Of what was recorded that service; or its replicas, where it names them all: `inference` for inference-1, ..."""
    return [one for one in recorded(window) if one == service or one.rpartition("-")[0] == service]


def unknown(window: Window, service: ServiceName) -> str:
    """Why nothing can be said of it."""
    seen = ", ".join(recorded(window))
    return f"nothing was recorded of {service}; {f'of these it was: {seen}' if seen else 'nor of any other service'}"


def series(window: Window, metric: str, service: str) -> Sequence[Sample]:
    """What was said of one service, in order."""
    labels = (("service", service),)
    return [one for one in window.samples if one.metric == metric and one.labels == labels]


def settled(window: Window, said: Sequence[Sample], *, wanted: bool = True) -> float | None:
    """Seconds after the window's start from which on it was so at every look: 0 where it always was, None where at the
    last look it was not."""
    amiss = max((number for number, one in enumerate(said) if bool(one.value) != wanted), default=-1)
    if amiss == len(said) - 1:
        return None
    return 0.0 if amiss < 0 else said[amiss + 1].at - window.start


def restarts(window: Window, service: str) -> int:
    """How often it had been started again since the run began, as of the window's end."""
    said = series(window, RESTARTS, service)
    return int(said[-1].value) if said else 0


def times(count: int) -> str:
    """`1 restart`, `2 restarts`."""
    return "1 restart" if count == 1 else f"{count} restarts"
