"""How long a provider that answered 429 wants to be left alone. Source: RFC 9110, section 10.2.3."""

from email.utils import parsedate_to_datetime

from target_stack.clock import Clock

__all__ = ["RetryAfter", "wait_of"]


def wait_of(header: str | None, *, now: float) -> float | None:
    """Return the wait in seconds that a Retry-After header asks for; None where it is missing or makes no sense.

    `now` is in Unix seconds.
    """
    text = (header or "").strip()
    if text.isascii() and text.isdigit():
        return float(text)
    try:
        return max(parsedate_to_datetime(text).timestamp() - now, 0.0)
    except ValueError:
        return None


class RetryAfter:
    """One provider's: what it said last, for all requests to come."""

    def __init__(self, clock: Clock, *, honoured: bool) -> None:
        self._clock = clock
        self._honoured = honoured
        self._until = 0.0

    def note(self, header: str | None) -> None:
        """The provider has refused a call, with or without saying when to come back."""
        wait = wait_of(header, now=self._clock.unix())
        if wait is not None:
            self._until = max(self._until, self._clock.monotonic() + wait)

    def left(self) -> float:
        """Return for how many more seconds the provider must not be called."""
        return max(self._until - self._clock.monotonic(), 0.0) if self._honoured else 0.0
