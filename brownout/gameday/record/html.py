"""record.html: one self-contained page that asks the network for nothing and needs no script."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from itertools import groupby
from pathlib import Path

from brownout.gameday.governance import on_the_wall
from brownout.gameday.record.earlier import compared, headings
from brownout.gameday.record.facts import (
    WHYS,
    after_fault,
    against_goals,
    by_the_system,
    clock,
    due,
    facts,
    findings,
    hit,
    isolated,
    refusals,
)
from brownout.gameday.record.timeline import MOST, Moment
from brownout.gameday.record.view import HTML, RecordView, link
from brownout.gameday.record.words import ICONS_OF_ALL, TONES
from brownout.report.html import from_template


@dataclass(frozen=True, slots=True)
class Told:
    """A moment as the page shows it."""

    clock: str
    since: str
    moment: Moment


def render(view: RecordView, *, beside: Path) -> str:
    """The page as text.

    Args:
        view: the record.
        beside: the folder in which it will lie, from which the runs' reports are linked.
    """
    from markupsafe import Markup  # noqa: PLC0415 - with the template's engine, which loads late

    from brownout.gameday.record.plot import plot  # noqa: PLC0415 - likewise
    from brownout.report.gauge import gauge  # noqa: PLC0415 - likewise

    lines, heads = compared(view), headings(view)
    # Ours, as the report's own style sheet is.
    more = Markup(resources.files("brownout.gameday.record").joinpath("record.css").read_text("utf-8"))  # noqa: S704
    return from_template(
        "record.html.j2",
        package="brownout.gameday.record",
        more=more,
        view=view,
        drill=view.drill,
        plan=view.played.plan,
        steps=[
            {
                "step": step,
                "report": link(step.report, beside=beside),
                "answers": view.answers.get(step.number, {}),
                "goals": against_goals(view, step),
                "by_the_system": by_the_system(view, step),
                "blocks": step.run.blocks if step.run else [],
                "isolated": isolated(step),
                "hit": hit(step),
                "marks": view.marks_of(step),
            }
            for step in view.steps
        ],
        goals=view.played.goals,
        days=_days(view),
        moments=len(view.moments),
        most=MOST,
        heads=[
            (date, None if one is view.played else link(one.folder / HTML, beside=beside), one) for one, date in heads
        ],
        lines=lines,
        plot=plot(lines, [f"{one.drill.started.astimezone(one.zone):%d %b}" for one, _ in heads]),
        facts=facts(view),
        findings=findings(view),
        after=after_fault,
        clock=clock,
        refusals=refusals(view),
        due=due(view),
        marks=ICONS_OF_ALL,
        tones=TONES,
        gauge=gauge,
        whys=WHYS,
        wall=lambda moment: on_the_wall(moment, view.played.zone),
    )


def _told(view: RecordView) -> Sequence[Told]:
    """The timeline with its times on the wall of the plan's zone, and in seconds from the drill's start."""
    zone, start = view.played.zone, view.drill.started
    return [
        Told(f"{one.at.astimezone(zone):%H:%M:%S}", f"+{(one.at - start).total_seconds():.1f} s", one)
        for one in view.moments[:MOST]
    ]


def _days(view: RecordView) -> list[tuple[str, list[Told]]]:
    zone = view.played.zone

    def day(one: Told) -> str:
        return f"{one.moment.at.astimezone(zone):%a %Y-%m-%d}"

    return [(name, list(found)) for name, found in groupby(_told(view), key=day)]
