"""What a webhook is told of a drill: JSON as Slack's incoming webhooks take it, and many others do.

`{"text": …, "blocks": […]}`: https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks and
https://docs.slack.dev/reference/block-kit/blocks. What others wrote is escaped as Slack asks: `&`, `<` and `>`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from brownout.gameday.events import DrillBegan
from brownout.gameday.rows import Outcome
from brownout.report.text import line, plural
from brownout.units import format_seconds

MAX_HEADER = 150
"""Characters of a header block."""
MAX_SECTION = 3000
"""Characters of a section block."""
MAX_LINE = 200
_MOST_STEPS = 12

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StepOutcome:
    """An experiment that was played."""

    number: int
    experiment: str
    outcome: Outcome


def began(event: DrillBegan) -> Message:
    """A drill begins."""
    plan = event.plan
    count = len(plan.experiments)
    facts = [
        f"Drill: {event.drill}",
        f"Breaks: {event.target} (instance {event.instance}), {plural(count, 'experiment')}",
        f"Commander: {plan.people.commander or 'nobody'}; the abort is held by {event.abort_holder or 'nobody'}",
        f"Goals: detect within {format_seconds(plan.ttd)}, mitigate within {format_seconds(plan.ttm)}",
    ]
    return _message(f"Game day begins: {plan.title}", facts)


def aborted(began: DrillBegan, *, by: str, why: str) -> Message:
    """Somebody, or something, wants it over."""
    facts = [f"Why: {why}", f"By: {by}", f"Drill: {began.drill}", "What is broken is being healed."]
    return _message(f"Game day is aborted: {began.plan.title}", facts)


def ended(began: DrillBegan, *, outcome: Outcome, said: str | None, steps: Sequence[StepOutcome]) -> Message:
    """It is over."""
    facts = [f"Outcome: {outcome}" + (f": {said}" if said else ""), f"Drill: {began.drill}"]
    facts += [f"{one.number}. {one.experiment}: {one.outcome}" for one in steps[:_MOST_STEPS]]
    if len(steps) > _MOST_STEPS:
        facts.append(f"and {len(steps) - _MOST_STEPS} more")
    facts.append(f"To be reviewed within {format_seconds(began.plan.review_within)}")
    return _message(f"Game day is over, {outcome}: {began.plan.title}", facts)


def _message(title: str, facts: Sequence[str]) -> Message:
    body = "\n".join(_escaped(line(one, limit=MAX_LINE)) for one in facts)
    return {
        "text": _escaped(line(title, limit=MAX_LINE)),
        "blocks": [
            # Plain text is shown as it is: nothing to escape.
            {"type": "header", "text": {"type": "plain_text", "text": line(title, limit=MAX_HEADER), "emoji": False}},
            {"type": "section", "text": {"type": "mrkdwn", "text": body[:MAX_SECTION], "verbatim": True}},
        ],
    }


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
