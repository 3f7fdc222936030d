"""How the drills of one plan fared over time, as a small picture: one row a figure, one column a drill."""

from collections.abc import Sequence

from markupsafe import Markup

from brownout.gameday.record.earlier import Line
from brownout.report.charts import Scale, element, fitted, label, linear, number, tooltip
from brownout.units import format_seconds, format_share

WIDTH, EDGE = 400.0, 30.0
"""A phone shows it at full size."""
HEAD, ROW = 22.0, 74.0
GROUND, TOP = 62.0, 42.0
"""Within a row: where its lowest value is drawn, and its highest."""
_FLOORS = (0.999, 0.99, 0.9, 0.5, 0.0)
"""Of an axis of shares: the highest that is below all of them."""


def plot(lines: Sequence[Line], dates: Sequence[str]) -> Markup:
    """The picture as SVG, of the figures that are not the same in every drill; nothing where there are none.

    The table beside it says the same, so that it is told to no screen reader.

    Args:
        lines: the figures, all of as many drills.
        dates: a short one for each drill.
    """
    rows = [one for one in lines if len({cell.value for cell in one.cells} - {None}) > 1]
    if not rows:
        return Markup("")
    x = linear(0, max(len(dates) - 1, 1), EDGE, WIDTH - EDGE)
    parts = [label(date, x=x(i), y=13.0, anchor="middle") for i, date in enumerate(dates)]
    for i, one in enumerate(rows):
        parts += _row(one, top=HEAD + i * ROW, x=x)
    height = HEAD + len(rows) * ROW
    box = f"0 0 {number(WIDTH)} {number(height)}"
    # Everything in it was made by `element` and `label`, which escape.
    return Markup(element("svg", *parts, viewBox=box, class_="over-time", aria_hidden="true"))  # noqa: S704


def _row(one: Line, *, top: float, x: Scale) -> list[str]:
    values = [cell.value for cell in one.cells if cell.value is not None]
    low, high = _range(values, one)
    y = linear(low, high, top + GROUND, top + TOP)
    points = [(x(i), y(cell.value), cell.value) for i, cell in enumerate(one.cells) if cell.value is not None]
    parts = [
        element("path", d=f"M0 {number(top)}H{number(WIDTH)}", class_="grid"),
        label(fitted(one.name, WIDTH, size=12), x=0.0, y=top + 18.0, class_="row-name"),
    ]
    if one.goal is not None and low <= one.goal <= high:
        across = f"M{number(EDGE / 2)} {number(y(one.goal))}H{number(WIDTH - EDGE / 2)}"
        goal = tooltip(f"Goal: {_figure(one.goal, one.unit)}")
        parts.append(element("path", goal, d=across, class_="line slo"))
    path = "".join(f"{'L' if i else 'M'}{number(px)} {number(py)}" for i, (px, py, _) in enumerate(points))
    parts.append(element("path", d=path, class_="line p50"))
    for i, (px, py, value) in enumerate(points):
        last = i + 1 == len(points) and one.cells[-1].value is not None
        parts.append(element("circle", cx=px, cy=py, r=4.0 if last else 3.0, class_="dot"))
        parts.append(label(_figure(value, one.unit), x=px, y=py - 8.0, class_="tick", anchor="middle"))
    return parts


def _range(values: Sequence[float], one: Line) -> tuple[float, float]:
    if one.unit == "share":
        return next(floor for floor in _FLOORS if floor <= min(values)), 1.0
    highest = max([*values, *([one.goal] if one.goal is not None and one.goal <= 4 * max(values) else [])])
    return 0.0, highest or 1.0


def _figure(value: float, unit: str) -> str:
    return format_share(value) if unit == "share" else format_seconds(value)
