"""A drill's record as the journal and the minutes have it, for a terminal."""

from datetime import datetime
from pathlib import Path

from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.record.view import HTML, refused


def as_text(journal: Journal, minutes: Minutes, name: str) -> str:
    """Everything that they have of one drill.

    Raises:
        InvalidInput: there is none of that name.
    """
    drill = journal.drill(name)
    lines = [
        f"{drill.id}: {drill.title}",
        f"  target     {drill.target} (instance {drill.instance})",
        f"  started    {_at(drill.started)}"
        + (f", due {_at(drill.scheduled)}" if drill.scheduled else ", not when due"),
        f"  ended      {_at(drill.ended)}" if drill.ended else f"  {drill.state}",
        f"  outcome    {drill.outcome or 'none yet'}" + (f": {drill.said}" if drill.said else ""),
        f"  commander  {drill.commander or 'nobody'}; the abort was held by {drill.abort_holder or 'nobody'}",
    ]
    if drill.looked_by:
        lines.append(f"  looked at by {drill.looked_by}")
    if drill.reviewed is not None:
        lines.append(f"  reviewed   {_at(drill.reviewed)} by {drill.reviewed_by}")
    elif drill.review_due is not None:
        lines.append(f"  review due {_at(drill.review_due)}")
    for override in journal.overrides(name):
        lines.append(f"  OVERRIDDEN {override.rule} by {override.by}: {override.why} (it said: {override.refusal})")
    lines += [f"  REFUSED    {_at(one.at)}: {one.rule}: {one.why}" for one in refused(journal, minutes, drill)]
    for step in journal.steps(name):
        where = f"  {step.folder}" if step.folder else ""
        lines.append(f"  {step.number}. {step.phase}: {step.experiment}: {step.outcome or 'did not end'}{where}")
    lines += [f"  {_at(one.at)}: {one.step}. {one.kind} by {one.by} ({one.source})" for one in minutes.marks(name)]
    lines += [f"  {_at(one.at)}: {one.by}: {one.what}" for one in minutes.notes(name)]
    for one in journal.follow_ups(drill=name):
        state = "done" if one.closed else f"due {one.due}" if one.due else "open"
        lines.append(f"  #{one.id} {one.what} ({one.owner}; {state})")
    if (page := Path(drill.folder) / HTML).is_file():
        lines.append(f"  {page}")
    return "\n".join(lines)


def _at(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
