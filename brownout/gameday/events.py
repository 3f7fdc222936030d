"""What happens in a drill, told to whoever watches: the control room, a webhook, a terminal."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from brownout.gameday.plan import GameDay
from brownout.gameday.rows import Mark, Note, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillBegan:
    """It is in the journal, and nothing is broken yet."""

    drill: str
    plan: GameDay
    target: str
    instance: str
    folder: Path
    abort_holder: str | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepBegan:
    """An experiment is about to start."""

    number: int
    of: int
    phase: str
    experiment: Path
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTold:
    """What a running experiment tells: an object of `brownout.report.progress.JsonProgress`."""

    number: int
    told: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class StepEnded:
    """It has ended, and all that it broke is healed."""

    number: int
    outcome: Outcome
    folder: Path | None
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Paused:
    """Nothing is broken until then."""

    until: datetime
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Marked:
    """Detected, or mitigated."""

    mark: Mark


@dataclass(frozen=True, slots=True, kw_only=True)
class Noted:
    """Somebody said or decided something."""

    note: Note


@dataclass(frozen=True, slots=True, kw_only=True)
class AbortAsked:
    """Somebody, or a lost heartbeat, wants it over; what is broken is being healed."""

    by: str
    why: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class DrillEnded:
    """It is over, and is in the journal so."""

    outcome: Outcome
    said: str | None
    at: datetime


Event = DrillBegan | StepBegan | StepTold | StepEnded | Paused | Marked | Noted | AbortAsked | DrillEnded


class Watcher(Protocol):
    """Is told everything, in order. Never raises: who watches must not end a drill."""

    async def on(self, event: Event) -> None:
        """Returns soon: the drill waits for it."""
