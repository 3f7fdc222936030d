"""Whether a service that went away came back."""

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds

from ._counting import worst
from ._services import READY, replicas, restarts, series, settled, times, unknown


@probe
def restart(window: Window, *, service: ServiceName, within: Duration, at_most: int | None = None) -> Verdict:
    """A service that was started again is ready in time, and stays ready to the window's end.

    Judged by what the target says of its services, twice a second: the figure is exact to that. A service that was
    never started again in the whole run shows nothing: that is inconclusive, never a pass. Of a service with replicas
    every one that was started again is judged; the verdict is the worst of them.

    Args:
        service: who was away; without a number, any of its replicas: `inference` for inference-1, inference-2, ...
        within: at the latest so long after the window's start it is ready for good.
        at_most: it was started again no more often than this since the run began: one that keeps crashing is not back.

    Raises:
        ValueError: the arguments make no sense.
    """
    if within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    if at_most is not None and at_most < 1:
        msg = "at-most must be at least 1: a service that is never started again has not come back"
        raise ValueError(msg)
    threshold = f"ready again within {format_seconds(within)}"
    if at_most is not None:
        threshold += f", after {times(at_most)} at most"
    names = replicas(window, service)
    if not names:
        return inconclusive(threshold, samples=0, why=unknown(window, service))
    verdicts = [_of_one(window, name, within=within, at_most=at_most, threshold=threshold) for name in names]
    # One that was neither away nor started again has shown nothing, which matters only where none has.
    told = [one for one in verdicts if one is not None]
    if not told:
        samples = len(series(window, READY, names[0]))
        return inconclusive(threshold, samples=samples, why=f"{service} was not started again up to then")
    return worst(told)


def _of_one(window: Window, service: str, *, within: float, at_most: int | None, threshold: str) -> Verdict | None:
    ready, count = series(window, READY, service), restarts(window, service)
    samples = len(ready)
    after = settled(window, ready)
    if ready and after is None:
        return _still_away(window, count, samples=samples, within=within, threshold=threshold)
    if not count or after is None:
        return None
    in_time = after <= within
    seldom = at_most is None or count <= at_most
    figure = f"ready after {format_seconds(after)}" if after else "ready from the start"
    return Verdict(
        "passed" if in_time and seldom else "failed",
        f"{figure}, after {times(count)}",
        threshold,
        samples,
        value=after,
        limit=within,
        unit="s",
    )


def _still_away(window: Window, count: int, *, samples: int, within: float, threshold: str) -> Verdict:
    if window.length < within:
        why = f"the window is only {format_seconds(window.length)} long, and it was not ready by its end"
        return inconclusive(threshold, samples=samples, why=why)
    figure = f"not ready after {format_seconds(window.length)}, after {times(count)}"
    return Verdict("failed", figure, threshold, samples, limit=within, unit="s")
