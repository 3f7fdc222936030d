"""The lane of the timeline that shows how many endpoints each service had, as its cluster told."""

from collections.abc import Sequence
from itertools import pairwise

from brownout.evidence.model import Sample
from brownout.report.canvas import Canvas, Lane, heading, row_name
from brownout.report.charts import element, fitted, label, tooltip
from brownout.report.text import line
from brownout.units import format_seconds

ENDPOINTS = "service_endpoints"
NAME = "endpoints"
"""The label that names whose they are."""
ROW = 24.0
HEIGHT = 16.0
MOST_ROWS = 12
Stretch = tuple[float, float, float]
"""From when until when how many there were."""


def endpoints(canvas: Canvas, samples: Sequence[Sample]) -> Lane:
    """One row for each Service whose number changed; stretches with fewer than at first are marked."""
    stretches = {name: found for name, found in _stretches(samples, canvas.duration).items() if len(found) > 1}
    if not stretches:
        return Lane("", 0.0)
    head = heading(canvas, "Endpoints that take requests", [])
    parts, y = [head.markup], head.height
    for name, found in sorted(stretches.items())[:MOST_ROWS]:
        short = fitted(line(name), canvas.left - 14 if canvas.beside else canvas.width, size=12)
        text, pushed = row_name(canvas, short, middle=ROW / 2)
        most = max(count for _, _, count in found)
        drawn = [_stretch(canvas, name, one, first=found[0][2], most=most, ground=pushed + ROW - 3) for one in found]
        parts.append(element("g", text, *drawn, transform=f"translate(0 {y:g})"))
        y += ROW + pushed
    return Lane("".join(parts), y)


def _stretches(samples: Sequence[Sample], end: float) -> dict[str, list[Stretch]]:
    changes: dict[str, list[tuple[float, float]]] = {}
    for one in samples:
        if one.metric == ENDPOINTS:
            told = changes.setdefault(dict(one.labels).get(NAME, ""), [])
            if not told or told[-1][1] != one.value:
                told.append((one.at, one.value))
    return {
        name: [(at, until, count) for (at, count), (until, _) in pairwise([*told, (end, 0.0)])]
        for name, told in changes.items()
    }


def _stretch(canvas: Canvas, name: str, stretch: Stretch, *, first: float, most: float, ground: float) -> str:
    since, until, count = stretch
    start, width = canvas.x(since), max(canvas.x(until) - canvas.x(since), 1.0)
    height = max(HEIGHT * count / most, 1.5) if most else 1.5
    told = f"{line(name)}: {count:.0f} from {since:.2f} s for {format_seconds(max(until - since, 0.0))}"
    number = label(f"{count:.0f}", x=start + width / 2, y=ground - 4, class_="count-of", anchor="middle")
    return element(
        "g",
        tooltip(told),
        element(
            "rect",
            x=start,
            y=ground - height,
            width=width,
            height=height,
            class_="count few" if count < first else "count",
        ),
        number if width >= 12 else "",
    )
