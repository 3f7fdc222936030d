"""The one timeline: every lane on the same time axis, the fault windows shaded through all of them."""

from collections.abc import Sequence

from markupsafe import Markup

from brownout.evidence.model import Request
from brownout.evidence.recording import Recording
from brownout.experiment import Experiment
from brownout.report import bands, counts, lanes
from brownout.report.canvas import GAP, Canvas, at
from brownout.report.charts import clock_label, element, label, number, time_ticks
from brownout.report.figures import bin_width, bins, merged
from brownout.report.thresholds import deadlines, limits


def timeline(
    recording: Recording,
    requests: Sequence[Request],
    experiment: Experiment,
    *,
    canvas: Canvas,
    summary: str,
    hatch: bool = True,
) -> Markup:
    """The timeline as one SVG element. `summary` is what a screen reader says of it.

    `requests` are the recording's, which would make them anew. `hatch` is off for all but the first of several
    timelines on one page, which share its pattern.
    """
    width = bin_width(canvas.duration, most=canvas.most_columns)
    columns = bins(requests, duration=canvas.duration, width=width)
    every = "each second" if width == 1 else f"each {width:g} s"
    title = f"Time to first token, {every}"

    above = [
        bands.phases(canvas, recording.events),
        bands.faults(canvas, recording.faults),
    ]
    charts = [
        lanes.latency(canvas, columns, title=title, limits=limits(experiment, recording, end=canvas.duration)),
        lanes.answers(canvas, columns),
    ]
    due = deadlines(experiment, recording, end=canvas.duration)
    below = [
        bands.breakers(canvas, recording.transitions, due),
        counts.endpoints(canvas, recording.samples),
        bands.marks(canvas, recording.events),
    ]

    parts, y = [], 2.0
    for lane in above:
        parts.append(at(lane, y))
        y += lane.height + (4 if lane.height else 0)
    top = y
    first = last = y
    for lane in charts:
        y += GAP if lane is not charts[0] else 8
        first = min(first, y) if lane is charts[0] else first
        parts.append(at(lane, y))
        y += lane.height
        last = y
    for lane in below:
        if lane.height:
            y += GAP
            parts.append(at(lane, y))
            y += lane.height
    bottom = y + 6
    stretches = merged(recording.faults, end=canvas.duration)
    behind = bands.shades(canvas, stretches, top=top, bottom=bottom) + _time_grid(canvas, top=top, bottom=bottom)
    told = lanes.columns_told(canvas, columns, top=first, bottom=last)
    height = bottom + 36
    # Everything in it was made by `element`, which escapes.
    return Markup(  # noqa: S704
        element(
            "svg",
            element("defs", _hatch(canvas)) if hatch else "",
            behind,
            *parts,
            bands.aborts(canvas, recording.events, top=top, bottom=bottom),
            _time_axis(canvas, y=bottom),
            told,
            viewBox=f"0 0 {number(canvas.width)} {number(height)}",
            class_=f"timeline {canvas.name}",
            role="img",
            aria_label=summary,
        )
    )


def _time_grid(canvas: Canvas, *, top: float, bottom: float) -> str:
    ticks = time_ticks(canvas.duration, most=canvas.most_ticks)
    return element(
        "path", d="".join(f"M{number(canvas.x(t))} {number(top)}V{number(bottom)}" for t in ticks), class_="time-grid"
    )


def _time_axis(canvas: Canvas, *, y: float) -> str:
    parts = [
        element("path", d=f"M{number(canvas.left)} {number(y)}H{number(canvas.width - canvas.right)}", class_="ground")
    ]
    for tick in time_ticks(canvas.duration, most=canvas.most_ticks):
        x = canvas.x(tick)
        # The last label must not be cut off at the page's edge.
        anchor = "end" if x > canvas.width - 24 else "middle"
        parts.append(label(clock_label(tick, duration=canvas.duration), x=x, y=y + 16, anchor=anchor))
    parts.append(
        label(
            "time since the start of the run",
            x=canvas.left + canvas.plot_width / 2,
            y=y + 32,
            class_="legend",
            anchor="middle",
        )
    )
    return "".join(parts)


def _hatch(canvas: Canvas) -> str:
    lines = element("path", d="M-1 1L1 -1M0 6L6 0M5 7L7 5", class_="hatch-line")
    back = element("rect", width=6, height=6, class_="hatch-back")
    return element("pattern", back, lines, id=f"hatch-{canvas.name}", width=6, height=6, patternUnits="userSpaceOnUse")
