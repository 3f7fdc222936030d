"""What a game day's file says, once it has been read."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from zoneinfo import ZoneInfo

from brownout.attachment import NOWHERE, Attachment
from brownout.errors import Location

TTD = 300.0
TTM = 900.0
"""Seconds to detect and to mitigate where the plan says nothing of it."""
REVIEW_WITHIN = 48 * 3600.0
"""Seconds after its end within which a drill is reviewed; a plan may ask for less, not for more."""
WINDOW = 2 * 3600.0
"""Seconds within which a drill may start and go on where the plan says nothing of it."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """When a drill is due, by the clock on the wall in one time zone."""

    cron: str
    """Five fields, names of days and months already written as numbers."""
    zone: ZoneInfo
    week: int | None = None
    """1 to 4: only the first, second, third or fourth such day of the month."""
    window: float = WINDOW
    """Seconds from then on within which the drill may start, and by whose end no experiment starts any more."""


@dataclass(frozen=True, slots=True)
class PlannedExperiment:
    """One experiment of a drill."""

    path: Path
    at: Location
    pause: float = 0.0
    """Seconds to wait after it, before whatever comes next."""


@dataclass(frozen=True, slots=True)
class Phase:
    """A part of a drill that has a name: experiments in their order."""

    name: str
    experiments: tuple[PlannedExperiment, ...]


@dataclass(frozen=True, slots=True)
class BlastRadius:
    """How much may be hit; what is not stated is not limited. See `brownout.gameday.radius` for what that means."""

    traffic: float | None = None
    """Share, 0 to 1."""
    pods: int | None = None
    """Of each service."""
    tenants: tuple[str, ...] = ()
    """None named: all of them."""


@dataclass(frozen=True, slots=True)
class People:
    """Who does what, by name."""

    commander: str | None = None
    abort: tuple[str, ...] = ()
    """Who may hold the abort: one of them has to have checked in."""
    scribe: str | None = None
    responders: tuple[str, ...] = ()

    def __contains__(self, name: object) -> bool:
        return name in {self.commander, *self.abort, self.scribe, *self.responders} - {None}

    @property
    def names(self) -> tuple[str, ...]:
        """Everybody, once."""
        everybody = (self.commander, *self.abort, self.scribe, *self.responders)
        return tuple(dict.fromkeys(one for one in everybody if one is not None))


@dataclass(frozen=True, slots=True)
class Detection:
    """Which alerts count as detection: those that have one of these names and all of these labels or annotations."""

    alerts: tuple[str, ...] = ()
    """By their label `alertname`; none named: all."""
    matching: Mapping[str, str] = field(default_factory=dict)
    """Values by the name of a label, else of an annotation."""

    def counts(self, name: str, labels: Mapping[str, str], annotations: Mapping[str, str]) -> bool:
        """Whether this alert does."""
        known = {**annotations, **labels}
        named = not self.alerts or name in self.alerts
        return named and all(known.get(key) == value for key, value in self.matching.items())


@dataclass(frozen=True, slots=True)
class ClosedDays:
    """Days without a drill, the first and the last of them included."""

    first: date
    last: date
    why: str


@dataclass(frozen=True, slots=True)
class MonthEnd:
    """The last days of every month and the first ones of the next."""

    before: int
    after: int
    why: str


@dataclass(frozen=True, slots=True)
class ClosedCalendar:
    """An iCalendar file: no drill during any of its events."""

    path: Path
    at: Location
    why: str | None = None
    """None: what the event itself is called."""


Blackout = ClosedDays | MonthEnd | ClosedCalendar


@dataclass(frozen=True, slots=True, kw_only=True)
class GameDay:
    """One plan: one drill, again and again as its schedule says."""

    name: str
    """The file's name without its ending: by it the journal knows the plan."""
    file: Path
    title: str
    purpose: str
    schedule: Schedule
    target: str | None
    """None is the one that the experiments name, else the embedded one."""
    attachment: Attachment = NOWHERE
    """Which running system that is, for a target that is attached to one: its description as seen from here."""
    blast_radius: BlastRadius
    phases: tuple[Phase, ...]
    ttd: float = TTD
    ttm: float = TTM
    runbook: str | None = None
    """A URL, or a file beside the plan."""
    rollback: str | None = None
    """In words."""
    people: People = field(default_factory=People)
    blackouts: tuple[Blackout, ...] = ()
    review_within: float = REVIEW_WITHIN
    detection: Detection = field(default_factory=Detection)
    notify: tuple[str, ...] = ()
    """The environment variables that hold the URLs of webhooks: such a URL is a secret."""
    source: str = field(default="", repr=False)
    """The file's text, as it was read."""

    @property
    def experiments(self) -> Sequence[PlannedExperiment]:
        """Of all phases, in order."""
        return [one for phase in self.phases for one in phase.experiments]

    @property
    def runbook_file(self) -> Path | None:
        """Where the runbook should lie; None where there is none, or it is a URL."""
        if self.runbook is None or self.runbook.startswith(("http://", "https://")):
            return None
        return self.file.parent / self.runbook
