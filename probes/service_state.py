"""Whether a service runs and is ready."""

from typing import Literal

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds

from ._counting import too_few, worst
from ._series import MIN_SCRAPES
from ._services import READY, UP, replicas, series, settled, unknown

_SAID = {"up": (UP, True), "down": (UP, False), "ready": (READY, True), "unready": (READY, False)}


@probe
def service_state(
    window: Window,
    *,
    service: ServiceName,
    state: Literal["up", "down", "ready", "unready"],
    within: Duration | None = None,
) -> Verdict:
    """A service is in a state whenever the target was asked for it, to the window's end.

    The target is asked twice a second. Of a service with replicas all are judged; the verdict is the worst of them.

    Args:
        service: who; without a number, every one of its replicas: `inference` for inference-1, inference-2, ...
        state: its process runs (`up`) or does not (`down`); it would take requests (`ready`) or would not (`unready`).
        within: from so long after the window's start on, at the latest; throughout the window where it is not stated.

    Raises:
        ValueError: the arguments make no sense.
    """
    if within is not None and within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    threshold = state if within is None else f"{state} within {format_seconds(within)}"
    names = replicas(window, service)
    if not names:
        return inconclusive(threshold, samples=0, why=unknown(window, service))
    verdicts = [_of_one(window, name, state=state, within=within, threshold=threshold) for name in names]
    return worst(verdicts)


def _of_one(
    window: Window,
    service: str,
    *,
    state: Literal["up", "down", "ready", "unready"],
    within: Duration | None,
    threshold: str,
) -> Verdict:
    metric, wanted = _SAID[state]
    said = series(window, metric, service)
    due = window.start + (within or 0.0)
    tail = sum(one.at >= due for one in said)
    if tail < MIN_SCRAPES:
        looks = f"looks at {service}{f' after the first {format_seconds(within)}' if within else ''}"
        why = too_few(tail, looks, least=MIN_SCRAPES)
        return inconclusive(threshold, samples=tail, why=why)
    since = settled(window, said, wanted=wanted)
    if since is None:
        figure = f"{service} was not {state} at the end"
    else:
        figure = f"{service} was {state} {f'from {format_seconds(since)} on' if since else 'throughout'}"
    return Verdict(
        "passed" if since is not None and since <= (within or 0.0) else "failed",
        figure,
        threshold,
        len(said),
        value=window.length if since is None else since,
        limit=within or 0.0,
        unit="s",
    )
