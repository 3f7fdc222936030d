"""Whether a service that ran out of memory lived on, or came back."""

from brownout.evidence import Window
from brownout.probe import Verdict, inconclusive, probe
from brownout.system import ServiceName
from brownout.units import Duration, format_seconds

from ._series import MIN_SCRAPES, growth, series_of
from ._services import READY, recorded, restarts, series, settled, times, unknown


@probe
def oom_handled(
    window: Window,
    *,
    service: ServiceName,
    within: Duration,
    restarts_at_most: int = 0,
    counter: str = "inference_out_of_memory_total",
) -> Verdict:
    """A service that ran out of memory lives on, or is started again no more often than allowed, and is ready in time.

    That memory did run out must be seen: its own counter grew in the window, or it was started again since the run
    began. Where neither was, this shows nothing: that is inconclusive, never a pass.

    Args:
        service: who ran out of memory; one replica, by its number.
        within: at the latest so long after the window's start it is ready for good.
        restarts_at_most: it was started again no more often than this since the run began; 0 of one that turns
            requests away, or lets some give way to others, and lives on.
        counter: of the allocations that were refused, as scraped from the service.

    Raises:
        ValueError: the arguments make no sense.
    """
    if within <= 0:
        msg = "within must be above 0"
        raise ValueError(msg)
    if restarts_at_most < 0:
        msg = "restarts-at-most must be 0 or more"
        raise ValueError(msg)
    threshold = f"ready within {format_seconds(within)}, after {times(restarts_at_most)} at most"
    if service not in recorded(window):
        return inconclusive(threshold, samples=0, why=unknown(window, service))
    ready, restarted = series(window, READY, service), restarts(window, service)
    refused = _refused(window, counter, service)
    if not refused and not restarted:
        why = f"{service} was not seen to run out of memory: {counter} did not grow, and it was not started again"
        return inconclusive(threshold, samples=len(ready), why=why)
    if sum(one.at >= window.start + within for one in ready) < MIN_SCRAPES:
        why = f"the window is too short to see {service} ready for good {format_seconds(within)} after its start"
        return inconclusive(threshold, samples=len(ready), why=why)
    back = settled(window, ready)
    figure = (
        "not ready at the end" if back is None else f"ready after {format_seconds(back)}" if back else "always ready"
    )
    return Verdict(
        "passed" if back is not None and back <= within and restarted <= restarts_at_most else "failed",
        f"{figure}, {refused:.0f} allocations refused, {times(restarted)}",
        threshold,
        len(ready),
        value=window.length if back is None else back,
        limit=within,
        unit="s",
    )


def _refused(window: Window, counter: str, service: str) -> float:
    found = series_of(window, counter, source=service)
    return growth(window, found)
