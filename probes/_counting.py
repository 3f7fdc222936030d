"""What several probes count alike."""

from collections.abc import Sequence

from brownout.evidence import Request, Window
from brownout.probe import MIN_SAMPLES
from brownout.units import Share


def is_available(request: Request) -> bool:
    """Whether its user was served: a complete answer, degraded or not. A rate limit is none, nor is an endless wait."""
    return request.outcome == "ok"


def answers(window: Window) -> Sequence[Request]:
    """The requests that ended with a complete answer."""
    return [request for request in window.requests if is_available(request)]


def too_few(count: int, what: str, *, least: int = MIN_SAMPLES) -> str:
    """`12 requests; at least 20 are needed`."""
    noun = what if count != 1 else what.removesuffix("s")
    return f"{count or 'no'} {noun}; at least {least} are needed to tell"


def asked_for(share: Share) -> str:
    """A share as its author wrote it: `99 %`, `99.9 %`."""
    return f"{share * 100:.10g} %"


def check_share(name: str, share: Share | None) -> None:
    """Raises `ValueError` for a share that everything or nothing could meet."""
    if share is not None and not 0 < share <= 1:
        msg = f"{name} must lie above 0% and be at most 100%"
        raise ValueError(msg)
