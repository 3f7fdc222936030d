"""The figures as text."""

from collections.abc import Sequence
from statistics import median

from benchmarks.proxy.targets import MEASURED_AGAINST, TARGETS, Figures, ratios, verdict

_WHAT = 34
_CELL = 24
_OURS = "brownout"


def table(figures: Figures, sides: Sequence[str]) -> str:
    """Median of the rounds, with the lowest and the highest."""
    rows = [(what, *(_cell(by_side.get(side, ())) for side in sides)) for what, by_side in figures.items()]
    return _rows([("", *sides), *rows])


def comparison(figures: Figures, sides: Sequence[str]) -> str:
    """Each side against Toxiproxy, as the median of the rounds' ratios, and what the target says to ours.

    Empty where there is no Toxiproxy.
    """
    if MEASURED_AGAINST not in sides:
        return ""
    others = [side for side in sides if side != MEASURED_AGAINST]
    rows = []
    for target in TARGETS:
        found = ratios(figures, target.what, _OURS)
        if found:
            cells = (_cell(ratios(figures, target.what, side)) for side in others)
            rows.append((target.what, *cells, str(target), verdict(target, found)))
    return _rows([(f"× {MEASURED_AGAINST}", *others, "target", _OURS), *rows]) if rows else ""


def _rows(rows: Sequence[Sequence[str]]) -> str:
    return "\n".join(f"{row[0]:<{_WHAT}}" + "".join(f"{cell:>{_CELL}}" for cell in row[1:]) for row in rows)


def _cell(values: Sequence[float]) -> str:
    if not values:
        return "-"
    digits = 0 if median(values) >= 1000 else 2
    if len(values) == 1:
        return f"{values[0]:.{digits}f}"
    return f"{median(values):.{digits}f} ({min(values):.{digits}f}–{max(values):.{digits}f})"
