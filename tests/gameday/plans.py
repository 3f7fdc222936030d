"""Plans that tests start from."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from brownout.errors import Location
from brownout.gameday.governance import Facts
from brownout.gameday.plan import GameDay, People, Phase, PlannedExperiment, Schedule
from brownout.gameday.schedule import Occurrence

BERLIN = ZoneInfo("Europe/Berlin")
NOON = datetime(2027, 6, 6, 12, 0, tzinfo=UTC)

TEXT = """\
title: A Sunday night
schedule: {cron: "0 3 * * SUN", time-zone: Europe/Berlin, week: 2, window: 2h}
target: embedded
blast-radius: {traffic: 5%, pods: 1, tenants: [acme]}
phases:
  - name: first
    experiments:
      - one.yaml
      - {run: two.yaml, pause: 5m}
goals: {detect: 4m, mitigate: 10m}
runbook: runbook.md
rollback: heal, then look
people: {commander: Ada, abort: [Grace, Ada], scribe: Joan, responders: Hedy}
blackouts:
  - {date: 2027-12-24, why: Christmas Eve}
  - {from: 2027-07-01, to: 2027-07-14}
  - {month-end: {before: 2, after: 1}}
  - {launch-week: 2027-W14}
  - {calendar: launches.ics}
review: {within: 24h}
"""
EXPERIMENT = (Path(__file__).parents[2] / "experiments" / "vector_db_latency.yaml").read_text(encoding="utf-8")
CALENDAR = """\
BEGIN:VCALENDAR
VERSION:2.0
PRODID:-//Brownout//Tests//EN
{events}
END:VCALENDAR
"""


def written(folder: Path, text: str = TEXT) -> Path:
    """A plan's file, with all that it names beside it."""
    for name in ("one.yaml", "two.yaml"):
        (folder / name).write_text(EXPERIMENT, encoding="utf-8")
    (folder / "runbook.md").write_text("# What to do\n", encoding="utf-8")
    (folder / "launches.ics").write_text(calendar(event(DTSTART="20270801T100000Z", SUMMARY="Launch")), "utf-8")
    path = folder / "sunday.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def event(**lines: str) -> str:
    """An event; a property's parameters stand in its name with two underscores: DTSTART__VALUE_DATE."""
    body = [f"{name.replace('__', ';').replace('VALUE_', 'VALUE=')}:{value}" for name, value in lines.items()]
    return "\r\n".join(
        ["BEGIN:VEVENT", f"UID:{abs(hash(tuple(body)))}", "DTSTAMP:20270101T000000Z", *body, "END:VEVENT"]
    )


def calendar(*events: str) -> str:
    return CALENDAR.format(events="\n".join(events))


def plan(**changes: Any) -> GameDay:
    """A plan to which no rule objects, with what is changed."""
    standard: dict[str, Any] = {
        "name": "sunday",
        "file": Path("sunday.yaml"),
        "title": "A Sunday night",
        "purpose": "",
        "schedule": Schedule("0 3 * * SUN", BERLIN),
        "target": "embedded",
        "blast_radius": None,
        "phases": (Phase("first", experiments("one.yaml", "two.yaml")),),
        "runbook": "https://example.com/runbook",
        "rollback": "heal",
        "people": People(commander="Ada", abort=("Grace", "Ada")),
    }
    return GameDay(**{**standard, **changes})


def experiments(*names: str, pause: float = 0.0) -> tuple[PlannedExperiment, ...]:
    return tuple(PlannedExperiment(Path(name), Location("sunday.yaml"), pause=pause) for name in names)


def facts(now: datetime = NOON, **changes: Any) -> Facts:
    """Facts to which no rule objects, with what is changed."""
    standard: dict[str, Any] = {
        "runbook_found": True,
        "due": Occurrence(now, now.replace(hour=(now.hour + 2) % 24)),
        "upcoming": None,
        "closures": (),
        "checked_in": {"Grace": now},
        "past": (),
    }
    return Facts(**{**standard, **changes})


class Ticking:
    """A clock that a test moves."""

    def __init__(self, at: datetime = NOON) -> None:
        self.at = at

    def __call__(self) -> datetime:
        return self.at


def starts(found: Iterable[Occurrence], write: Callable[[datetime], str] = datetime.isoformat) -> list[str]:
    return [write(one.start) for one in found]
