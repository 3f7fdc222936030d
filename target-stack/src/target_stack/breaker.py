"""Circuit breaker: stops calling a dependency that keeps failing, and finds out by itself when it is back.

closed --(consecutive failures, or error rate over a rolling window)--> open
open --(recovery time over, on the next call)--> half-open
half-open --(all probes succeeded)--> closed; half-open --(one probe failed)--> open

The states and figures are R1 of the reference systems. Libraries that were read before this was written:

- purgatory 3.0: half-open lets every caller through and the first success closes; an excluded exception counts as a
  success; reads `time.time()` itself.
- aiobreaker 1.2: the same half-open; `datetime.utcnow()`; no error rate.
- pybreaker 1.4: closes after a number of successes, but does not bound the calls in half-open; async by way of Tornado.
- circuitbreaker 2.1: half-open is a reading of the clock and bounds nothing; a cancelled call counts as a success, and
  so resets the count of failures.

None has an error rate over a window, a bounded number of half-open probes, a third verdict (released: neither success
nor failure, for 429 and cancelled calls), a longer recovery for an unstable dependency, or a clock that is given.

Concurrency: all methods are synchronous and touch no I/O, so on one event loop each is atomic.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from types import TracebackType
from typing import Self

from target_stack.clock import Clock

__all__ = ["BreakerConfig", "CircuitBreaker", "CircuitOpenError", "Permit", "State", "Transition"]


class State(StrEnum):
    """The three states, by the names that events carry."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half-open"


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerConfig:
    """When a breaker opens and closes. Times in seconds; the defaults are the LLM preset."""

    enabled: bool = True
    failures: int = 3
    error_rate: float = 0.1
    window: float = 10.0
    min_calls: int = 20
    recovery: float = 60.0
    probes: int = 3
    unstable_cycles: int = 3
    unstable_window: float = 600.0
    unstable_recovery: float = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Transition:
    """One change of state, with its cause in words."""

    from_state: State
    to_state: State
    reason: str


class CircuitOpenError(Exception):
    """The call was not made. `retry_in` is the time in seconds after which it is worth asking again."""

    def __init__(self, reason: str, *, retry_in: float) -> None:
        super().__init__(reason)
        self.retry_in = retry_in


class Permit:
    """Leave for one call. Ends in exactly one verdict; the first one given stands.

    As a context manager it releases itself when the block left without a verdict, as a cancelled call does.
    """

    __slots__ = ("_breaker", "_epoch", "_settled")

    def __init__(self, breaker: "CircuitBreaker | None", epoch: int) -> None:
        self._breaker = breaker
        self._epoch = epoch
        self._settled = breaker is None

    def success(self) -> None:
        """The dependency did its work."""
        if breaker := self._settle():
            breaker._succeeded(self._epoch)

    def failure(self, reason: str) -> None:
        """The dependency is at fault."""
        if breaker := self._settle():
            breaker._failed(self._epoch, reason)

    def release(self) -> None:
        """The call says nothing about the dependency (429, our own 503, cancelled)."""
        if breaker := self._settle():
            breaker._released(self._epoch)

    def _settle(self) -> "CircuitBreaker | None":
        if self._settled:
            return None
        self._settled = True
        return self._breaker

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()


class CircuitBreaker:
    """The breaker of one dependency."""

    def __init__(
        self, config: BreakerConfig, clock: Clock, *, on_transition: Callable[[Transition], None] = lambda _: None
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_transition = on_transition
        self._state = State.CLOSED
        # A permit belongs to the epoch that it was given in. Verdicts of an earlier epoch are history: a call that
        # began before the breaker opened must not close it, nor count as one of the probes.
        self._epoch = 0
        self._consecutive_failures = 0
        self._window: deque[tuple[float, bool]] = deque()
        self._window_failures = 0
        self._open_until = 0.0
        self._probes_given = 0
        self._probes_succeeded = 0
        self._cycles: deque[float] = deque()
        self._oscillations = 0

    @property
    def state(self) -> State:
        """The state as of the last call; an open breaker turns half-open on the first call after its recovery."""
        return self._state

    @property
    def oscillations(self) -> int:
        """How often it has gone all the way from closed to open and back."""
        return self._oscillations

    @property
    def admits(self) -> bool:
        """Whether a call that is made now would be let through."""
        if self._state is State.OPEN:
            return self._open_until <= self._clock.monotonic()
        return self._state is State.CLOSED or self._probes_given < self._config.probes

    def acquire(self) -> Permit:
        """Return leave for one call; raise CircuitOpenError when the call must not be made."""
        if not self._config.enabled:
            return Permit(None, self._epoch)
        if self._state is State.OPEN:
            left = self._open_until - self._clock.monotonic()
            if left > 0:
                msg = "the circuit breaker is open"
                raise CircuitOpenError(msg, retry_in=left)
            self._enter(State.HALF_OPEN, "recovery time is over")
        if self._state is State.HALF_OPEN:
            if self._probes_given >= self._config.probes:
                msg = "the circuit breaker is half-open and its probes are under way"
                raise CircuitOpenError(msg, retry_in=0.0)
            self._probes_given += 1
        return Permit(self, self._epoch)

    def _succeeded(self, epoch: int) -> None:
        if epoch != self._epoch:
            return
        if self._state is State.HALF_OPEN:
            self._probes_succeeded += 1
            if self._probes_succeeded >= self._config.probes:
                self._close()
            return
        self._consecutive_failures = 0
        self._record(failed=False)
        # A success can complete the minimum number of calls, or push old successes out of the window.
        self._open_on_error_rate()

    def _failed(self, epoch: int, reason: str) -> None:
        if epoch != self._epoch:
            return
        if self._state is State.HALF_OPEN:
            self._open(f"a half-open probe failed: {reason}")
            return
        self._consecutive_failures += 1
        self._record(failed=True)
        if self._consecutive_failures >= self._config.failures:
            self._open(f"{self._consecutive_failures} consecutive failures, the last: {reason}")
        else:
            self._open_on_error_rate()

    def _released(self, epoch: int) -> None:
        if epoch == self._epoch and self._state is State.HALF_OPEN:
            self._probes_given -= 1

    def _record(self, *, failed: bool) -> None:
        now = self._clock.monotonic()
        self._window.append((now, failed))
        self._window_failures += failed
        while self._window[0][0] <= now - self._config.window:
            self._window_failures -= self._window.popleft()[1]

    def _open_on_error_rate(self) -> None:
        calls = len(self._window)
        if calls < self._config.min_calls or not self._window_failures:
            return
        rate = self._window_failures / calls
        if rate >= self._config.error_rate:
            self._open(f"error rate {rate:.0%} over {self._config.window:g} s ({calls} calls)")

    def _open(self, reason: str) -> None:
        now = self._clock.monotonic()
        while self._cycles and self._cycles[0] <= now - self._config.unstable_window:
            self._cycles.popleft()
        unstable = len(self._cycles) > self._config.unstable_cycles
        recovery = max(self._config.unstable_recovery, self._config.recovery) if unstable else self._config.recovery
        self._open_until = now + recovery
        self._enter(State.OPEN, f"{reason}; unstable, recovery {recovery:g} s" if unstable else reason)

    def _close(self) -> None:
        self._oscillations += 1
        self._cycles.append(self._clock.monotonic())
        self._enter(State.CLOSED, f"{self._probes_succeeded} of {self._config.probes} probes succeeded")

    def _enter(self, state: State, reason: str) -> None:
        transition = Transition(from_state=self._state, to_state=state, reason=reason)
        self._state = state
        self._epoch += 1
        self._consecutive_failures = 0
        self._window.clear()
        self._window_failures = 0
        self._probes_given = 0
        self._probes_succeeded = 0
        self._on_transition(transition)
