"""Several runs of one experiment side by side: what differs in how they were run, and what got worse since the first.

A share or a quantile is called worse, or better, only where the 99 % confidence intervals of the two runs do not even
touch: with some fifteen figures a pair of runs, chance alone would mark one now and then at the usual 95 %. A latency
must differ by a tenth as well, and a whole distribution by more than a negligible effect, since a machine is never as
fast today as it was yesterday.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from brownout.errors import InvalidInput
from brownout.evidence.model import Request
from brownout.report.baseline import MEASURES, Quantile, quantile_of, shift
from brownout.report.budget import budget_of
from brownout.report.figures import Part
from brownout.report.text import clean, grouped, line, plural
from brownout.report.view import RunView, setting, share
from brownout.statistics import share_interval
from brownout.units import format_seconds

Change = Literal["", "worse", "better"]
CONFIDENCE = 0.99
LEAST_RATIO = 1.1
"""By which a latency must differ to be worth a mark."""
_RANKS = {"passed": 0, "inconclusive": 1, "failed": 2, "aborted": 3}


@dataclass(frozen=True, slots=True)
class Cell:
    """What one run says in one line, and how that lies against the first run."""

    text: str
    note: str = ""
    change: Change = ""
    outcome: str = ""
    """Of a check: its verdict."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line: a cell a run."""

    name: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Group:
    """Lines under one heading."""

    name: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """All that is told of several runs together."""

    views: tuple[RunView, ...]
    letters: tuple[str, ...]
    """One for each run, by which the tables name it."""
    setup: tuple[Line, ...]
    """What differs in how they were run; nothing where that is all the same."""
    figures: tuple[Group, ...]
    checks: tuple[Group, ...]

    def changed(self, run: int, change: Change) -> list[str]:
        """The lines in which a run, counted from 0, is worse (or better) than the first, each with both figures."""
        return [
            f"{group.name}: {one.name}: {_turned(one.cells[0], one.cells[run])}"
            for group in (*self.checks, *self.figures)
            for one in group.lines
            if one.cells[run].change == change
        ]

    @property
    def regressions(self) -> list[str]:
        """Every line in which a later run is worse than the first."""
        return [
            f"{self.letters[run]}: {told}" for run in range(1, len(self.views)) for told in self.changed(run, "worse")
        ]

    def sentence(self, run: int) -> str:
        """How a run, counted from 1, lies against the first: `B is worse than A in 2 checks and 1 figure.`"""
        said = []
        for change, word in (("worse", "worse"), ("better", "better")):
            counts = [
                (sum(one.cells[run].change == change for group in groups for one in group.lines), noun)
                for groups, noun in ((self.checks, "check"), (self.figures, "figure"))
            ]
            told = " and ".join(plural(count, noun) for count, noun in counts if count)
            if told:
                said.append(f"{word} than {self.letters[0]} in {told}")
        name = self.letters[run]
        return (
            f"{name} is {', and '.join(said)}."
            if said
            else f"{name} differs from {self.letters[0]} in nothing but chance."
        )


def same_experiment(views: Sequence[RunView]) -> None:
    """Refuse to compare what cannot be compared.

    Raises:
        InvalidInput: they are runs of different experiments, or of one whose method was changed in between.
    """
    first = views[0]
    for other in views[1:]:
        if other.experiment.title != first.experiment.title:
            msg = (
                "runs of different experiments cannot be compared: "
                f"{_quoted(first.experiment.title)} ({first.name}) and {_quoted(other.experiment.title)} ({other.name})"
            )
            raise InvalidInput(msg)
        if _method(other) != _method(first):
            msg = f"the method of {other.name} is not that of {first.name}, so they cannot be compared"
            raise InvalidInput(msg)


def compare(views: Sequence[RunView]) -> Comparison:
    """Put runs of one experiment side by side; the first is what the others are held against."""
    letters = tuple(chr(ord("A") + i) if i < 26 else str(i + 1) for i in range(len(views)))
    return Comparison(tuple(views), letters, tuple(_setup(views)), tuple(_figures(views)), tuple(_checks(views)))


def _turned(first: Cell, now: Cell) -> str:
    """`100 % → 98 %`, and the verdicts where those changed."""
    if now.outcome not in (first.outcome, now.text):
        return f"{first.outcome} ({first.text}) → {now.outcome} ({now.text})"
    return now.text if first.text == "–" else f"{first.text} → {now.text}"


def _quoted(title: str) -> str:
    return f"“{line(title, limit=80)}”"


def _method(view: RunView) -> list[str]:
    return [clean(step.title) for step in view.experiment.method]


def _setup(views: Sequence[RunView]) -> Iterable[Line]:
    rows: list[tuple[str, Callable[[RunView], str]]] = [
        ("Target", lambda view: view.info.target),
        ("Scale", lambda view: f"{view.info.scale:g}"),
        ("Seed", lambda view: str(view.info.seed)),
        ("Load", lambda view: "; ".join(f"{load.rate:g}/s, policy {load.policy}" for load in view.experiment.load)),
        ("Experiment file", lambda view: "as in A" if view.info.experiment_source == first else "changed"),
    ]
    first = views[0].info.experiment_source
    for name in sorted({name for view in views for name in view.info.settings}):
        rows.append((name, lambda view, name=name: _setting(view, name)))  # type: ignore[misc]
    for name in dict.fromkeys(name for view in views for name in view.info.environment):
        told = name[:1].upper() + name[1:]
        rows.append((told, lambda view, name=name: view.info.environment.get(name, "–")))  # type: ignore[misc]
    for name, said in rows:
        values = [line(said(view)) for view in views]
        if len(set(values)) > 1:
            yield Line(line(name), tuple(map(Cell, values)))


def _setting(view: RunView, name: str) -> str:
    return setting(view.info.settings[name]) if name in view.info.settings else "not set"


def _figures(views: Sequence[RunView]) -> Iterable[Group]:
    names = dict.fromkeys(part.name for view in views for part in view.parts)
    for name in names:
        parts = [next((part for part in view.parts if part.name == name), None) for view in views]
        answered = _shares("Requests answered", parts, lambda r: True, lambda r: r.outcome == "ok", more=True)
        degraded = _shares(
            "Answers marked degraded", parts, lambda r: r.outcome == "ok", lambda r: bool(r.level), more=False
        )
        lines = [answered, _unless_lost(degraded, answered)]
        for measure, of in MEASURES.items():
            samples = [sorted(map(of, part.requests)) if part else [] for part in parts]
            lines += [_quantiles(f"{measure}, p{percent}", samples, percent / 100) for percent in (50, 95)]
            lines.append(_shifts(f"{measure}, all of them", samples))
        yield Group(name, tuple(lines))
    budgets = [budget_of(view.experiment, view.parts, view.requests) for view in views]
    if any(budgets):
        cells = [
            Cell("–")
            if budget is None
            else Cell(
                format_seconds(budget.burnt[-1].spent), f"{share(min(budget.burnt[-1].of_month, 1.0))} of a month's"
            )
            for budget in budgets
        ]
        yield Group("Error budget", (Line("Spent by the run", tuple(cells)),))


def _shares(
    name: str,
    parts: Sequence[Part | None],
    counts: Callable[[Request], bool],
    hit: Callable[[Request], bool],
    *,
    more: bool,
) -> Line:
    """A share of the requests that count, `more` of which is better."""
    cells: list[Cell] = []
    first: tuple[float, float] | None = None
    for part in parts:
        asked = [request for request in (part.requests if part else ()) if counts(request)]
        hits = sum(map(hit, asked))
        found = share_interval(hits, len(asked), confidence=CONFIDENCE) if asked else None
        text = share(hits / len(asked) if asked else None)
        change: Change = ""
        if cells and found and first and (found[1] < first[0] or found[0] > first[1]):
            change = "better" if (found[0] > first[1]) == more else "worse"
        first = found if not cells else first
        cells.append(Cell(text, f"{grouped(hits)} of {grouped(len(asked))}" if asked else "", change))
    return Line(name, tuple(cells))


def _unless_lost(degraded: Line, answered: Line) -> Line:
    """Fewer degraded answers are no gain where fewer requests were answered: an error is worse."""
    return Line(
        degraded.name,
        tuple(
            replace(cell, change="") if cell.change == "better" and other.change == "worse" else cell
            for cell, other in zip(degraded.cells, answered.cells, strict=True)
        ),
    )


def _quantiles(name: str, samples: Sequence[Sequence[float]], q: float) -> Line:
    found = [quantile_of(values, q, confidence=CONFIDENCE) for values in samples]
    return Line(
        name,
        tuple(
            Cell("–", "too few" if samples[i] else "")
            if one is None
            else Cell(str(one), one.interval, _slower(one, found[0]))
            for i, one in enumerate(found)
        ),
    )


def _slower(one: Quantile, first: Quantile | None) -> Change:
    if first is None or one is first:
        return ""
    if one.surely_above(first) and one.value >= LEAST_RATIO * first.value:
        return "worse"
    return "better" if first.surely_above(one) and first.value >= LEAST_RATIO * one.value else ""


def _shifts(name: str, samples: Sequence[Sequence[float]]) -> Line:
    cells = [Cell("–")]
    for values in samples[1:]:
        found = shift(values, samples[0])
        if found is None:
            cells.append(Cell("–", "too few"))
            continue
        change: Change = ("worse" if found.effect > 0 else "better") if found.clear else ""
        cells.append(Cell(found.verdict, found.figures, change))
    return Line(name, tuple(cells))


def _checks(views: Sequence[RunView]) -> Iterable[Group]:
    """The runs' own verdicts first: a run whose evidence is worth nothing is no equal of one that passed."""
    ends = [Cell(line(view.judgement.outcome), outcome=view.judgement.outcome) for view in views]
    yield Group("The run", (Line("Verdict", (ends[0], *(_changed(cell, ends[0]) for cell in ends[1:]))),))
    verdicts: list[dict[tuple[str, str, int], Cell]] = []
    for view in views:
        found: dict[tuple[str, str, int], Cell] = {}
        for block, members in view.blocks:
            for one in members:
                title = line(one.check.title)
                number = sum(key[:2] == (block, title) for key in found)
                found[block, title, number] = Cell(line(one.verdict.figure), outcome=one.verdict.outcome)
        verdicts.append(found)
    keys = dict.fromkeys(key for found in verdicts for key in found)
    for block in dict.fromkeys(block for block, _, _ in keys):
        lines = []
        for key in keys:
            if key[0] != block:
                continue
            cells = [found.get(key, Cell("–", "not judged")) for found in verdicts]
            lines.append(Line(key[1], (cells[0], *(_changed(cell, cells[0]) for cell in cells[1:]))))
        yield Group(block, tuple(lines))


def _changed(cell: Cell, first: Cell) -> Cell:
    if not cell.outcome or not first.outcome or cell.outcome == first.outcome:
        return cell
    worse = _RANKS[cell.outcome] > _RANKS[first.outcome]
    return Cell(cell.text, cell.note, "worse" if worse else "better", cell.outcome)
