"""The lanes of the timeline that show what users got: latencies, and answers by how degraded they were."""

from collections.abc import Sequence

from brownout.report.canvas import Canvas, Key, Lane, heading, value_grid
from brownout.report.charts import (
    Scale,
    box,
    element,
    label,
    latency_axis,
    linear,
    number,
    steps,
    tick_seconds,
    tooltip,
    value_axis,
    width_of,
)
from brownout.report.figures import LEVELS, UNSTATED, Bin
from brownout.report.thresholds import Limit
from brownout.units import format_seconds

LATENCY_HEIGHT = 120.0
ANSWERS_HEIGHT = 130.0
LEAST_ERROR = 3.0
"""One error among thousands of answers is still this many pixels high."""


def latency(canvas: Canvas, columns: Sequence[Bin], *, title: str, limits: Sequence[Limit]) -> Lane:
    """The median and the 95th percentile of every column, and what is asked of them, each where it is asked."""
    keys = [Key("p95", "p95", line=True), Key("p50", "p50", line=True)]
    asked = list(dict.fromkeys(map(str, limits)))
    if asked:
        keys.append(Key(f"asked for: {asked[0]}" if len(asked) == 1 else "asked for", "slo", line=True))
    axis = latency_axis([c.p95 for c in columns if c.p95 is not None] + [limit.seconds for limit in limits])
    head = heading(canvas, title + (" (log scale)" if axis.log else ""), keys)
    top, bottom = head.height + 4, head.height + 4 + LATENCY_HEIGHT
    y = axis.scale(bottom, top)
    parts = [
        head.markup,
        value_grid(canvas, axis, top=top, bottom=bottom, texts=[tick_seconds(tick) for tick in axis.ticks]),
        element("path", d=_band(canvas, columns, y), class_="band"),
    ]
    for class_ in ("p50", "p95"):
        points = [
            None
            if (value := getattr(c, class_)) is None
            else (canvas.x(c.start), canvas.x(c.start + c.width), y(value))
            for c in columns
        ]
        parts.append(element("path", d=steps(points), class_=f"line {class_}"))
    for limit in limits:
        start, end, height = canvas.x(limit.start), canvas.x(limit.end), y(limit.seconds)
        d = f"M{number(start)} {number(height)}H{number(end)}"
        parts.append(element("path", tooltip(f"asked for: {limit}"), d=d, class_="line slo"))
        if len(asked) > 1 and width_of(str(limit)) < end - start:
            parts.append(label(str(limit), x=start + 4, y=height - 5, class_="asked"))
    if not any(c.ttft for c in columns):
        parts.append(_nothing(canvas, "no answer came", (top + bottom) / 2))
    return Lane("".join(parts), bottom)


def _band(canvas: Canvas, columns: Sequence[Bin], y: Scale) -> str:
    """The area between the two quantiles, one shape for each unbroken stretch."""
    path, stretch = [], []
    for column in [*columns, None]:
        if column is not None and column.p50 is not None and column.p95 is not None:
            stretch.append((canvas.x(column.start + column.width / 2), y(column.p50), y(column.p95)))
        elif stretch:
            there = "L".join(f"{number(x)} {number(high)}" for x, _, high in stretch)
            back = "L".join(f"{number(x)} {number(low)}" for x, low, _ in reversed(stretch))
            path.append(f"M{there}L{back}z")
            stretch = []
    return "".join(path)


def answers(canvas: Canvas, columns: Sequence[Bin]) -> Lane:
    """Answers a second, stacked upwards by degradation level; errors hang below the ground line."""
    up = max((c.answered / c.width for c in columns), default=0.0)
    down = max((c.errors / c.width for c in columns), default=0.0)
    seen = [level for level in range(LEVELS + 1) if any(c.answers[level] for c in columns)]
    keys = [Key("level not stated" if n == UNSTATED else f"level {n}", f"level-{n}") for n in seen]
    errors = sum(c.errors for c in columns)
    keys.append(Key(f"errors, downwards ({errors})" if errors else "no errors", "errors"))
    head = heading(canvas, "Answers per second", keys)

    # Fewer ticks where errors leave the answers less room.
    axis = value_axis(up, count=4 if down < up / 2 else 2)
    top = head.height + 4
    room = ANSWERS_HEIGHT
    if down:
        room = min(room * axis.high / (axis.high + down), room - 16.0) if up else 14.0
    ground = top + room
    y = linear(0.0, axis.high, ground, top)
    depth = linear(0.0, max(down, 1e-9), 0.0, ANSWERS_HEIGHT - room)
    parts = [head.markup]
    if up:
        parts.append(value_grid(canvas, axis, top=top, bottom=ground, texts=[f"{tick:g}" for tick in axis.ticks]))
    else:
        ground_line = f"M{number(canvas.left)} {number(ground)}H{number(canvas.width - canvas.right)}"
        parts += [
            element("path", d=ground_line, class_="ground"),
            label("0", x=canvas.left - 7, y=ground + 4, anchor="end"),
        ]
    for level in seen:
        parts.append(element("path", d=_bars(canvas, columns, level, y), class_=f"level-{level}"))
    if down:
        bars = "".join(
            box(x, ground + 0.5, width, max(depth(c.errors / c.width), LEAST_ERROR))
            for c in columns
            if c.errors
            for x, width in [_slot(canvas, c)]
        )
        parts.append(element("path", d=bars, class_="errors"))
        bottom = ground + ANSWERS_HEIGHT - room
        parts.append(
            label(
                f"{down:.2g}" if down < 10 else f"{down:.0f}",
                x=canvas.left - 7,
                y=bottom + 4,
                class_="tick bad",
                anchor="end",
            )
        )
    if not errors and not seen:
        parts.append(_nothing(canvas, "no request was made", top + ANSWERS_HEIGHT / 2))
    return Lane("".join(parts), top + ANSWERS_HEIGHT + (4 if down else 0))


def _slot(canvas: Canvas, column: Bin) -> tuple[float, float]:
    left, right = canvas.x(column.start), canvas.x(column.start + column.width)
    gap = 1.0 if right - left > 5 else 0.0
    return left + gap / 2, max(right - left - gap, 0.6)


def _bars(canvas: Canvas, columns: Sequence[Bin], level: int, y: Scale) -> str:
    path = []
    for column in columns:
        if column.answers[level]:
            x, width = _slot(canvas, column)
            below = sum(column.answers[:level]) / column.width
            high, low = y(below + column.answers[level] / column.width), y(below)
            path.append(box(x, high, width, low - high))
    return "".join(path)


def _nothing(canvas: Canvas, text: str, y: float) -> str:
    return label(text, x=canvas.left + canvas.plot_width / 2, y=y + 4, class_="nothing", anchor="middle")


def columns_told(canvas: Canvas, columns: Sequence[Bin], *, top: float, bottom: float) -> str:
    """Invisible columns over both charts that tell their figures when pointed at."""
    parts = []
    for c in columns:
        if not (c.answered or c.errors or c.pending):
            continue
        said = [f"{c.start:g} to {c.start + c.width:g} s: {c.answered} answered"]
        said += [f"{n} of level {i}" for i, n in enumerate(c.answers[1:LEVELS], start=1) if n]
        if c.errors:
            said.append(f"{c.errors} failed")
        if c.p50 is not None and c.p95 is not None:
            said.append(f"p50 {format_seconds(c.p50)}, p95 {format_seconds(c.p95)}")
        left, right = canvas.x(c.start), canvas.x(c.start + c.width)
        rect = element("rect", tooltip("; ".join(said)), x=left, y=top, width=right - left, height=bottom - top)
        parts.append(rect)
    return element("g", *parts, class_="columns") if parts else ""
