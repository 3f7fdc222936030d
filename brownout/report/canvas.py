"""The sheet that the timeline's lanes are drawn on: one time axis, two widths (a desk and a phone)."""

from collections.abc import Sequence
from dataclasses import dataclass

from brownout.report.charts import Axis, Scale, element, label, linear, number, width_of

TITLE = 20.0
"""Height of a line of text above a lane."""
GAP = 16.0
"""Between two lanes."""


@dataclass(frozen=True, slots=True)
class Canvas:
    """Where things are. Coordinates are the SVG's own units, which are pixels at full size."""

    name: str
    """Also the prefix of every id, since two of these stand in one page."""
    width: float
    left: float
    right: float
    duration: float
    most_columns: int
    most_ticks: int
    beside: bool
    """Whether names of rows stand in the left margin, or above the row, for want of room."""

    @property
    def plot_width(self) -> float:
        return self.width - self.left - self.right

    @property
    def x(self) -> Scale:
        """From seconds of the run to a coordinate; what lies outside the run is drawn at its edge."""
        inner = linear(0.0, self.duration, self.left, self.width - self.right)
        return lambda at: inner(min(max(at, 0.0), self.duration))


def wide(duration: float) -> Canvas:
    return Canvas("wide", 1040.0, 108.0, 14.0, duration, most_columns=240, most_ticks=13, beside=True)


def narrow(duration: float) -> Canvas:
    return Canvas("narrow", 380.0, 52.0, 10.0, duration, most_columns=100, most_ticks=5, beside=False)


@dataclass(frozen=True, slots=True)
class Lane:
    """A drawn lane: markup whose top edge is at y = 0, and how much room it takes."""

    markup: str
    height: float


@dataclass(frozen=True, slots=True)
class Key:
    """One entry of a legend."""

    text: str
    class_: str
    line: bool = False


def heading(canvas: Canvas, title: str, keys: Sequence[Key]) -> Lane:
    """A lane's title, and its legend at the right of it where there is room, else on lines of its own."""
    parts = [label(title, x=0.0 if canvas.beside else 2.0, y=13.0, class_="lane-title")]
    widths = [width_of(key.text) + 36 for key in keys]
    row, x = 0, canvas.width - canvas.right - sum(widths) + 12
    if x < width_of(title, size=14) + 16:
        row, x = 1, 2.0
    for key, width in zip(keys, widths, strict=True):
        if row and x > 2.0 and x + width > canvas.width + 12:
            row, x = row + 1, 2.0
        y = row * TITLE
        if key.line:
            parts.append(element("path", d=f"M{number(x)} {number(y + 9)}h18", class_=f"line {key.class_}"))
        else:
            parts.append(element("rect", x=x + 3, y=y + 3.5, width=12.0, height=11.0, rx=2.0, class_=key.class_))
        parts.append(label(key.text, x=x + 23, y=y + 13, class_="legend"))
        x += width
    return Lane("".join(parts), (row + 1) * TITLE + 4)


def value_grid(canvas: Canvas, axis: Axis, *, top: float, bottom: float, texts: Sequence[str]) -> str:
    """Horizontal lines at the axis' ticks, with their texts in the left margin."""
    y = axis.scale(bottom, top)
    start, end = canvas.left, canvas.width - canvas.right
    parts = []
    for tick, text in zip(axis.ticks, texts, strict=True):
        at = y(tick)
        class_ = "ground" if tick == axis.low else "grid"
        parts.append(element("path", d=f"M{number(start)} {number(at)}H{number(end)}", class_=class_))
        parts.append(label(text, x=start - 7, y=at + 4, anchor="end"))
    return "".join(parts)


def row_name(canvas: Canvas, name: str, *, middle: float) -> tuple[str, float]:
    """A row's name, and by how much it pushes the row down: in the left margin, or on a line of its own above."""
    if canvas.beside:
        return label(name, x=canvas.left - 10, y=middle + 4, class_="row-name", anchor="end"), 0.0
    return label(name, x=2.0, y=13.0, class_="row-name"), TITLE - 2


def at(lane: Lane, y: float) -> str:
    """The lane, moved down."""
    return element("g", lane.markup, transform=f"translate(0 {number(y)})")
