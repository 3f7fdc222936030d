"""What every chart needs: SVG elements as text, axes with round ticks, scales. Coloured by style.css."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

from brownout.report.text import clean

Scale = Callable[[float], float]
"""From a value to a coordinate."""


def number(value: float) -> str:
    """A coordinate, as short as a tenth of a pixel allows."""
    return f"{value:.1f}".removesuffix(".0")


def element(name: str, *children: str, **attributes: object) -> str:
    """One SVG element. Children are markup already; attribute values are escaped. `class_` is `class`, `_` is `-`."""
    written = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{number(value) if isinstance(value, float) else escape(clean(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    return f"<{name}{written}>{''.join(children)}</{name}>" if children else f"<{name}{written}/>"


def label(text: object, *, x: float, y: float, class_: str = "tick", anchor: str | None = None) -> str:
    """A piece of text in a chart."""
    return element("text", escape(clean(text)), x=x, y=y, class_=class_, text_anchor=anchor)


def tooltip(text: object) -> str:
    """What a browser shows when the pointer rests on the element that this is a child of."""
    return element("title", escape(clean(text)))


def box(x: float, y: float, width: float, height: float) -> str:
    """A rectangle as a piece of a path, so that a whole series is one element."""
    return f"M{number(x)} {number(y)}h{number(width)}v{number(height)}h{number(-width)}z"


def steps(points: Sequence[tuple[float, float, float] | None]) -> str:
    """A path along `(left, right, height)` columns through their middles, broken where there is nothing."""
    path, joined = [], False
    for i, point in enumerate(points):
        if point is None:
            joined = False
            continue
        left, right, y = point
        alone = not joined and (i + 1 == len(points) or points[i + 1] is None)
        if alone:
            path.append(f"M{number(left)} {number(y)}H{number(right)}")
        else:
            path.append(f"{'L' if joined else 'M'}{number((left + right) / 2)} {number(y)}")
        joined = True
    return "".join(path)


def linear(low: float, high: float, start: float, end: float) -> Scale:
    """`low` → `start`, `high` → `end`."""
    factor = (end - start) / (high - low) if high != low else 0.0
    return lambda value: start + (value - low) * factor


def logarithmic(low: float, high: float, start: float, end: float) -> Scale:
    """The same for the logarithms; values under `low` are drawn at `low`."""
    inner = linear(math.log10(low), math.log10(high), start, end)
    return lambda value: inner(math.log10(max(value, low)))


def round_step(span: float, *, count: int) -> float:
    """The 1-2-5 step that cuts `span` into at most `count` parts."""
    if span <= 0:
        return 1.0
    rough = span / count
    magnitude = 10.0 ** math.floor(math.log10(rough))
    return next(step * magnitude for step in (1, 2, 5, 10) if step * magnitude >= rough * (1 - 1e-9))


@dataclass(frozen=True, slots=True)
class Axis:
    """A value axis: where it ends, its ticks, and whether it is logarithmic."""

    low: float
    high: float
    ticks: tuple[float, ...]
    log: bool = False

    def scale(self, start: float, end: float) -> Scale:
        return (logarithmic if self.log else linear)(self.low, self.high, start, end)


def value_axis(highest: float, *, count: int = 4) -> Axis:
    """From zero to a round number that is at least `highest`."""
    step = round_step(highest, count=count) if highest > 1e-12 else 1.0
    parts = max(math.ceil(highest / step - 1e-9), 1)
    return Axis(0.0, step * parts, tuple(step * i for i in range(parts + 1)))


def latency_axis(values: Sequence[float]) -> Axis:
    """For seconds: from zero, or logarithmic where one scale would press all that is normal into the ground line."""
    # Nothing on a wire takes less than a microsecond; without a floor one zero would stretch a logarithm for ever.
    seen = sorted(max(v, 1e-6) for v in values if v > 0)
    if not seen:
        return value_axis(1.0)
    if seen[-1] <= 25 * seen[len(seen) // 2]:
        return value_axis(seen[-1] * 1.04)
    low, high = math.floor(math.log10(seen[0])), math.ceil(math.log10(seen[-1]) - 1e-9)
    return Axis(10.0**low, 10.0**high, tuple(10.0**power for power in range(low, high + 1)), log=True)


TIME_STEPS = (0.1, 0.2, 0.5, 1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 43200, 86400)


def time_ticks(duration: float, *, most: int) -> list[float]:
    """Round moments from 0 to the run's end."""
    step = next((s for s in TIME_STEPS if duration / s <= most), 86400 * math.ceil(duration / most / 86400))
    return [i * step for i in range(int(duration / step + 1e-9) + 1)]


def clock_label(at: float, *, duration: float) -> str:
    """A moment of the run on the time axis: `20 s`, `2:30`, `1:02:30`."""
    if duration < 180:
        return f"{at:g} s"
    minutes, seconds = divmod(round(at), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


def tick_seconds(value: float) -> str:
    """A latency on an axis: `0`, `250 ms`, `1.5 s`."""
    if value == 0:
        return "0"
    return f"{value * 1e3:.4g} ms" if value < 0.9995 else f"{value:.4g} s"


def width_of(text: str, *, size: float = 11.0) -> float:
    """About how wide a text will be: nothing here can measure a font, so 0.56 em a character, which is ample."""
    return len(text) * size * 0.56


def fitted(text: str, width: float, *, size: float = 11.0) -> str:
    """The text, shortened to what fits; empty where less than three characters would."""
    if width_of(text, size=size) <= width:
        return text
    room = int(width / (size * 0.56)) - 1
    return text[:room].rstrip() + "…" if room >= 3 else ""
