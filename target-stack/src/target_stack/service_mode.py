"""Service modes with hysteresis: full, reduced, emergency. Down fast, up slowly, one step at a time.

full       everything
reduced    pro and free get the small model first, and nothing is retried
emergency  pro and free get what the gateway has in its own memory, without any dependency; enterprise is still put to
           models, and gets that too when none answers

Two readings decide: the share of places behind the bulkhead that are taken, and the share of questions to which no
model gave a whole answer. A step down needs a reading to be bad for a while, a step up needs both to be good for much
longer, and between good and bad nothing changes: that keeps the service from flapping when a mode removes the very load
that led to it.
"""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Self

from target_stack.clock import Clock
from target_stack.settings import Settings

__all__ = ["Mode", "ModeConfig", "ServiceMode"]


class Mode(IntEnum):
    """In the order of the way down; the numbers are those of the metric."""

    FULL = 0
    REDUCED = 1
    EMERGENCY = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ModeConfig:
    """Shares, and times in seconds. `min_questions` in the window before failures count."""

    enabled: bool = True
    hysteresis: bool = True
    busy: float = 0.9
    busy_for: float = 30.0
    failing: float = 0.05
    failing_for: float = 10.0
    dead: float = 0.5
    calm: float = 0.7
    healthy: float = 0.01
    recovery: float = 300.0
    window: float = 4.0
    min_questions: int = 10

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """As the operator has configured it."""
        return cls(
            enabled=settings.switch("service-modes"),
            hysteresis=settings.switch("hysteresis"),
            busy=settings.number("mode.busy"),
            busy_for=settings.number("mode.busy-for"),
            failing=settings.number("mode.failing"),
            failing_for=settings.number("mode.failing-for"),
            dead=settings.number("mode.dead"),
            calm=settings.number("mode.calm"),
            healthy=settings.number("mode.healthy"),
            recovery=settings.number("mode.recovery"),
            window=settings.number("mode.window"),
            min_questions=settings.integer("mode.min-questions"),
        )


class _Since:
    """How long something has been so without a break."""

    def __init__(self) -> None:
        self._since: float | None = None

    def lasts(self, so: bool, now: float) -> float:
        """Return the seconds, -1 while it is not so."""
        if not so:
            self._since = None
            return -1.0
        if self._since is None:
            self._since = now
        return now - self._since


class ServiceMode:
    """Told of every question's outcome, and asked to look at its readings a few times a second."""

    def __init__(
        self, config: ModeConfig, clock: Clock, *, on_change: Callable[[Mode, Mode], None] = lambda _old, _new: None
    ) -> None:
        self._config = config
        self._clock = clock
        self._on_change = on_change
        self.mode = Mode.FULL
        self._outcomes: deque[tuple[float, bool]] = deque()
        self._failures = 0
        self._busy, self._failing, self._dead, self._good = _Since(), _Since(), _Since(), _Since()

    def asked(self, *, failed: bool) -> None:
        """A question was put to models."""
        self._outcomes.append((self._clock.monotonic(), failed))
        self._failures += failed

    def failure_share(self) -> float:
        """Return the share of questions in the window that no model answered."""
        oldest = self._clock.monotonic() - self._config.window
        while self._outcomes and self._outcomes[0][0] <= oldest:
            self._failures -= self._outcomes.popleft()[1]
        if len(self._outcomes) < self._config.min_questions:
            return 0.0
        return self._failures / len(self._outcomes)

    def tick(self, utilisation: float) -> None:
        """Look at the readings; `utilisation` is a share."""
        config, now, failures = self._config, self._clock.monotonic(), self.failure_share()
        if not config.enabled:
            return
        if not config.hysteresis:
            self._follow(utilisation, failures)
            return
        busy = self._busy.lasts(utilisation > config.busy, now) >= config.busy_for
        failing = self._failing.lasts(failures > config.failing, now) >= config.failing_for
        dead = self._dead.lasts(failures > config.dead, now) >= config.failing_for
        good = self._good.lasts(utilisation < config.calm and failures < config.healthy, now) >= config.recovery
        if dead:
            self._enter(Mode.EMERGENCY)
        elif (busy or failing) and self.mode is Mode.FULL:
            self._enter(Mode.REDUCED)
        elif good and self.mode is not Mode.FULL:
            # Each step has to prove itself anew.
            self._good.lasts(False, now)
            self._enter(Mode(self.mode - 1))

    def _follow(self, utilisation: float, failures: float) -> None:
        config = self._config
        bad = utilisation > config.busy or failures > config.failing
        self._enter(Mode.EMERGENCY if failures > config.dead else Mode.REDUCED if bad else Mode.FULL)

    def _enter(self, mode: Mode) -> None:
        if mode is not self.mode:
            before, self.mode = self.mode, mode
            self._on_change(before, mode)
