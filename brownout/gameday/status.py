"""What is still open after game days: drills that go on or were interrupted, reviews, follow-ups."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from brownout.gameday.journal import Journal
from brownout.gameday.rows import Drill, FollowUp


@dataclass(frozen=True, slots=True)
class Open:
    """Everything open at one moment."""

    now: datetime
    running: Sequence[Drill]
    interrupted: Sequence[Drill]
    unreviewed: Sequence[Drill]
    follow_ups: Sequence[FollowUp]

    @property
    def overdue(self) -> bool:
        """Whether somebody should have done something by now."""
        return bool(
            self.interrupted
            or any(one.overdue(self.now) for one in self.unreviewed)
            or any(one.overdue(self.now.date()) for one in self.follow_ups)
        )


def now_open(journal: Journal, now: datetime) -> Open:
    """Ask the journal."""
    drills = journal.drills()
    return Open(
        now,
        running=[one for one in drills if one.state == "running"],
        interrupted=[one for one in drills if one.state == "interrupted"],
        unreviewed=[one for one in drills if one.state == "over" and one.reviewed is None],
        follow_ups=[one for one in journal.follow_ups() if one.closed is None],
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
    }
