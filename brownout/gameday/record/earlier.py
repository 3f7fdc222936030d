"""A drill beside those of the same plan before it: what got better, what did not."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.gameday.governance import on_the_wall
from brownout.gameday.record.view import Played, RecordView
from brownout.report.text import line
from brownout.report.view import seconds, share


@dataclass(frozen=True, slots=True)
class Cell:
    """One drill's figure: a verdict where it is one of an experiment, and a figure as text and as a number."""

    text: str
    outcome: str = ""
    value: float | None = None


@dataclass(frozen=True, slots=True)
class Line:
    """One figure of all drills, the oldest first, this one last."""

    name: str
    cells: tuple[Cell, ...]
    goal: float | None = None
    """What it should be at most."""
    unit: str = "s"
    """`s` or `share`."""


def headings(view: RecordView) -> Sequence[tuple[Played, str]]:
    """The drills that are compared, each with its date on the wall, the oldest first, this one last."""
    return [(one, on_the_wall(one.drill.started, one.zone)) for one in (*view.earlier, view.played)]


def compared(view: RecordView) -> Sequence[Line]:
    """The figures; nothing where there was no drill before."""
    drills = (*view.earlier, view.played)
    if len(drills) == 1:
        return ()
    detect, mitigate = view.played.goals
    lines = [Line("Outcome", tuple(Cell("", one.outcome) for one in drills), unit="")]
    for name in dict.fromkeys(step.experiment for one in reversed(drills) for step in one.steps):
        lines.append(Line(line(name), tuple(_experiment(one, name) for one in drills), unit="share"))
    lines += [
        Line("Time to detect, at worst", tuple(_time(one, "ttd") for one in drills), goal=detect),
        Line("Time to mitigate, at worst", tuple(_time(one, "ttm") for one in drills), goal=mitigate),
        Line("Error budget spent", tuple(Cell(seconds(one.spent), value=one.spent) for one in drills)),
    ]
    return lines


def _experiment(one: Played, name: str) -> Cell:
    found = [step for step in one.steps if step.experiment == name]
    if not found:
        return Cell("–")
    # Played twice, it is as good as its worse time.
    step = min(
        [step for step in found if step.row is not None] or found,
        key=lambda step: (step.outcome == "passed", step.number),
    )
    availability = None if step.broken is None else step.broken.availability
    return Cell("" if availability is None else f"{share(availability)} answered", step.outcome, availability)


def _time(one: Played, name: str) -> Cell:
    worst = one.worst(name)
    return Cell(seconds(worst), value=worst)
