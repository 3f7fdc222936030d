"""A verdict as a small picture: the figure, its confidence interval, and the threshold on one scale."""

import math

from markupsafe import Markup

from brownout.probe import Verdict
from brownout.report.charts import element, linear, number, tooltip
from brownout.report.text import line
from brownout.units import format_seconds, format_share

WIDTH, HEIGHT, EDGE = 180.0, 16.0, 5.0


def gauge(verdict: Verdict) -> Markup:
    """The picture as SVG; nothing where the verdict has no finite figure or no threshold as a number.

    It says no more than the text beside it, and is told to no screen reader.
    """
    value, limit = verdict.value, verdict.limit
    if value is None or limit is None:
        return Markup("")
    ends = [end for end in (verdict.low, verdict.high) if end is not None]
    seen = [value, limit, *ends]
    if not all(map(math.isfinite, seen)):
        return Markup("")
    low, high = min(seen), max(seen)
    # Never so little that the scale between two ends that are nearly one would overflow.
    room = max((high - low or abs(high) or 1.0) * 0.12, 1e-9)
    if verdict.unit == "share":
        low, high = max(low - room, 0.0), min(high + room, 1.0)
    else:
        # From zero: a limit of 500 ms is then as far from 250 ms as it is long.
        low, high = min(low - room, 0.0) if low < 0 else 0.0, high + room
    x = linear(low, high, EDGE, WIDTH - EDGE)
    middle = HEIGHT / 2
    start = x(low if verdict.low is None else verdict.low)
    end = x(high if verdict.high is None else verdict.high)
    parts = [
        tooltip(_said(verdict)),
        element("path", d=f"M{number(EDGE)} {number(middle)}H{number(WIDTH - EDGE)}", class_="gauge-axis"),
        element("rect", x=start, y=middle - 2.5, width=max(end - start, 1.0), height=5.0, class_="gauge-interval")
        if ends
        else "",
        element("path", d=f"M{number(x(limit))} 1V{number(HEIGHT - 1)}", class_="gauge-limit"),
        element("circle", cx=x(value), cy=middle, r=3.5, class_="gauge-value"),
    ]
    # Everything in it was made by `element`, which escapes.
    return Markup(  # noqa: S704
        element("svg", *parts, viewBox=f"0 0 {number(WIDTH)} {number(HEIGHT)}", class_="gauge", aria_hidden="true")
    )


def _said(verdict: Verdict) -> str:
    ends = [_figure(end, verdict.unit) for end in (verdict.low, verdict.high) if end is not None]
    interval = f", 95 % interval {' to '.join(ends)}" if len(ends) == 2 else ""
    figure, limit = _figure(verdict.value, verdict.unit), _figure(verdict.limit, verdict.unit)
    return f"{figure}{interval}; threshold {limit}"


def _figure(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    if unit == "share":
        return format_share(value)
    return format_seconds(value) if unit == "s" else line(f"{value:.4g} {unit}")
