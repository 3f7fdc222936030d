"""What is still open after game days: drills that go on or were interrupted, reviews, follow-ups, refused starts."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby

from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.rows import Drill, FollowUp, RefusedStart

RECENT = timedelta(days=30)
"""How long a refused start is told of, unless a drill of its plan has started since."""


@dataclass(frozen=True, slots=True)
class Open:
    """Everything open at one moment."""

    now: datetime
    running: Sequence[Drill]
    interrupted: Sequence[Drill]
    unreviewed: Sequence[Drill]
    follow_ups: Sequence[FollowUp]
    refused: Sequence[RefusedStart]
    """Recent ones, one for each reason."""

    @property
    def overdue(self) -> bool:
        """Whether somebody should have done something by now."""
        return bool(
            self.interrupted
            or any(one.overdue(self.now) for one in self.unreviewed)
            or any(one.overdue(self.now.date()) for one in self.follow_ups)
        )


def now_open(journal: Journal, minutes: Minutes, now: datetime) -> Open:
    """Ask the journal and the minutes."""
    drills = journal.drills()
    started = {one.plan: one.started for one in drills}
    return Open(
        now,
        running=[one for one in drills if one.state == "running"],
        interrupted=[one for one in drills if one.state == "interrupted"],
        unreviewed=[one for one in drills if one.state == "over" and one.reviewed is None],
        follow_ups=[one for one in journal.follow_ups() if one.closed is None],
        refused=[
            one
            for one in minutes.refused()
            if now - RECENT <= one.at <= now and (one.plan not in started or started[one.plan] < one.at)
        ],
    )


def as_text(found: Open) -> str:
    """One line for each."""
    lines = [f"running      {one.id}: {one.title}" for one in found.running]
    lines += [
        f"INTERRUPTED  {one.id}: see what it left (chaos heal), then: chaos gameday record {one.id} --looked --by NAME"
        for one in found.interrupted
    ]
    for one in found.unreviewed:
        word = "OVERDUE     " if one.overdue(found.now) else "to review   "
        lines.append(f"{word} {one.id}: {one.outcome}; review due {_date(one.review_due)}")
    for follow_up in found.follow_ups:
        word = "OVERDUE     " if follow_up.overdue(found.now.date()) else "follow-up   "
        due = "" if follow_up.due is None else f", due {follow_up.due}"
        lines.append(f"{word} #{follow_up.id} {follow_up.what} ({follow_up.owner}{due}; of {follow_up.drill})")
    for (at, plan), reasons in groupby(found.refused, key=lambda one: (one.at, one.plan)):
        lines.append(f"refused      {plan} at {_date(at)}: {'; '.join(f'{one.rule}: {one.why}' for one in reasons)}")
    return "\n".join(lines or ["Nothing is open."])


def _date(moment: datetime | None) -> str:
    return "" if moment is None else f"{moment:%Y-%m-%d %H:%M} UTC"


def to_json(found: Open) -> dict[str, object]:
    """The same, for programs."""
    return {
        "overdue": found.overdue,
        "running": [one.id for one in found.running],
        "interrupted": [one.id for one in found.interrupted],
        "unreviewed": [
            {
                "drill": one.id,
                "outcome": one.outcome,
                "review_due": None if one.review_due is None else one.review_due.isoformat(),
                "overdue": one.overdue(found.now),
            }
            for one in found.unreviewed
        ],
        "follow_ups": [
            {
                "id": one.id,
                "drill": one.drill,
                "what": one.what,
                "owner": one.owner,
                "due": None if one.due is None else one.due.isoformat(),
                "overdue": one.overdue(found.now.date()),
            }
            for one in found.follow_ups
        ],
        "refused": [
            {
                "plan": one.plan,
                "target": one.target,
                "instance": one.instance,
                "at": one.at.isoformat(),
                "rule": one.rule,
                "why": one.why,
            }
            for one in found.refused
        ],
    }
