"""The lanes of the timeline that show states: phases of the run, faults, circuit breakers, and single marks."""

from collections.abc import Sequence
from itertools import zip_longest

from brownout.evidence.model import Event, FaultSpan, Transition
from brownout.report.canvas import TITLE, Canvas, Key, Lane, heading, row_name
from brownout.report.charts import element, fitted, label, number, tooltip, width_of
from brownout.report.text import line
from brownout.report.thresholds import Deadline
from brownout.units import format_seconds

FAULT_ROW = 20.0
BREAKER_ROW = 26.0
MARK_ROW = 22.0
MOST_MARK_ROWS = 5
MOST_BREAKERS = 12
MOST_MARKS = 60
LONGEST_WARNING = 290.0
"""Pixels: the platform has much to say, and says what first. The rest is in the list."""
MARKED = ("abort", "error", "warning", "note")
"""Kinds of events that get a mark of their own; phases and faults have lanes."""


def phases(canvas: Canvas, events: Sequence[Event]) -> Lane:
    """The run's phases, each from its event until the next one's. Nothing where none was recorded."""
    told = [e for e in events if e.kind == "phase"]
    # A method of several faults says its name at each of them.
    found = [e for i, e in enumerate(told) if i == 0 or e.text != told[i - 1].text]
    parts = []
    for event, following in zip_longest(found, found[1:]):
        start, end = canvas.x(event.at), canvas.x(following.at if following else canvas.duration)
        if end - start < 1:
            continue
        text = line(event.text)
        parts.append(
            element(
                "g",
                tooltip(f"{text}, from {event.at:.1f} s"),
                element("path", d=f"M{number(start)} 3v12", class_="phase-edge"),
                label(fitted(text, end - start - 8), x=start + 5, y=13.0, class_="phase"),
            )
        )
    return Lane("".join(parts), TITLE + 2 if parts else 0.0)


def faults(canvas: Canvas, spans: Sequence[FaultSpan]) -> Lane:
    """When each fault was really on; those that overlap stand under one another."""
    rows: list[float] = []
    parts = []
    for span in sorted(spans, key=lambda s: s.on):
        start, end = canvas.x(span.on), canvas.x(canvas.duration if span.off is None else span.off)
        name, width = line(span.title), max(end - start, 2.0)
        inside = fitted(name, width - 12)
        beside = "" if inside == name else fitted(name, canvas.width - canvas.right - end - 6)
        taken = end + (width_of(beside) + 10 if len(beside) > len(inside) else 0.0)
        row = next((i for i, free in enumerate(rows) if free <= start), len(rows))
        rows[row : row + 1] = [taken]
        y = row * (FAULT_ROW + 3)
        told = f"{name}: on at {span.on:.2f} s, " + ("never off" if span.off is None else f"off at {span.off:.2f} s")
        parts.append(
            element(
                "g",
                tooltip(told),
                element("rect", x=start, y=y, width=width, height=FAULT_ROW, rx=3.0, class_="fault"),
                label(beside, x=end + 6, y=y + 14, class_="beside")
                if len(beside) > len(inside)
                else label(inside, x=start + 7, y=y + 14, class_="on-fault"),
            )
        )
    height = len(rows) * (FAULT_ROW + 3)
    name, pushed = row_name(canvas, "Faults", middle=FAULT_ROW / 2) if rows else ("", 0.0)
    return (
        Lane(name + element("g", *parts, transform=f"translate(0 {number(pushed)})"), height + pushed)
        if rows
        else Lane("", 0.0)
    )


def shades(canvas: Canvas, stretches: Sequence[tuple[float, float]], *, top: float, bottom: float) -> str:
    """The fault windows, through every lane."""
    parts = []
    for on, off in stretches:
        start, end = canvas.x(on), canvas.x(off)
        parts.append(element("rect", x=start, y=top, width=max(end - start, 1.0), height=bottom - top, class_="shade"))
        edges = f"M{number(start)} {number(top)}V{number(bottom)}M{number(end)} {number(top)}V{number(bottom)}"
        parts.append(element("path", d=edges, class_="shade-edge"))
    return "".join(parts)


def breakers(canvas: Canvas, history: Sequence[Transition], due: Sequence[Deadline] = ()) -> Lane:
    """One row for each dependency: a thin line while closed, a hatched band while half-open, a solid one while open.

    An upright line is by when the experiment wants it to have moved.
    """
    by_name: dict[str, list[Transition]] = {}
    for transition in sorted(history, key=lambda t: t.at):
        by_name.setdefault(transition.dependency, []).append(transition)
    if not by_name:
        return Lane("", 0.0)
    quiet = [name for name, rows in by_name.items() if all(t.new == "closed" for t in rows)]
    moved = [name for name in by_name if name not in quiet]
    drawn = sorted(moved) + (sorted(quiet) if canvas.beside else [])
    told = f"closed throughout: {', '.join(sorted(quiet))}" if quiet and not canvas.beside else ""
    keys = [Key("closed", "closed"), Key("half-open", f"half-open {canvas.name}"), Key("open", "open")]
    if any(one.dependency in drawn for one in due):
        keys.append(Key("deadline", "deadline", line=True))
    head = heading(canvas, "Circuit breakers", keys if drawn else [])
    parts, y = [head.markup], head.height
    for name in drawn[:MOST_BREAKERS]:
        short = fitted(line(name), canvas.left - 14 if canvas.beside else canvas.width, size=12)
        text, pushed = row_name(canvas, short, middle=BREAKER_ROW / 2)
        middle = pushed + BREAKER_ROW / 2
        states = [_state(canvas, t, end, middle) for t, end in _spans(by_name[name], canvas.duration)]
        states += [_deadline(canvas, one, middle) for one in due if one.dependency == name]
        parts.append(element("g", text, *states, transform=f"translate(0 {number(y)})"))
        y += BREAKER_ROW + pushed
    if len(drawn) > MOST_BREAKERS:
        told = f"and {len(drawn) - MOST_BREAKERS} more {told}"
    if told:
        text = fitted(told, canvas.width - canvas.right - (canvas.left if canvas.beside else 2.0))
        parts.append(label(text, x=canvas.left if canvas.beside else 2.0, y=y + 13, class_="legend"))
        y += TITLE
    return Lane("".join(parts), y)


def _deadline(canvas: Canvas, one: Deadline, middle: float) -> str:
    x = canvas.x(one.at)
    d = f"M{number(x)} {number(middle - BREAKER_ROW / 2 + 1)}V{number(middle + BREAKER_ROW / 2 - 1)}"
    return element("path", tooltip(f"{line(one.state)} asked for by {one.at:.2f} s"), d=d, class_="line deadline")


def _spans(history: Sequence[Transition], end: float) -> list[tuple[Transition, float]]:
    until = [t.at for t in history[1:]] + [end]
    return [(t, off) for t, off in zip(history, until, strict=True) if off > 0]


def _state(canvas: Canvas, transition: Transition, end: float, middle: float) -> str:
    start, stop = canvas.x(transition.at), canvas.x(end)
    width = max(stop - start, 1.0)
    lasted = format_seconds(max(end - max(transition.at, 0.0), 0.0))
    told = f"{transition.dependency}: {transition.new} from {transition.at:.2f} s for {lasted}"
    if transition.reason:
        told += f" ({line(transition.reason)})"
    half = {"closed": 1.5, "half-open": 6.0}.get(transition.new, 9.0)
    class_ = {"closed": "closed", "half-open": f"half-open {canvas.name}"}.get(transition.new, "open")
    drawn = [
        tooltip(told),
        element("rect", x=start, y=middle - half, width=width, height=2 * half, class_=class_),
    ]
    if transition.new != "closed" and (text := fitted(f"{transition.new} {lasted}", width - 8)) and "…" not in text:
        class_ = "on-half-open" if transition.new == "half-open" else "on-open"
        drawn.append(label(text, x=start + width / 2, y=middle + 4, class_=class_, anchor="middle"))
    return element("g", *drawn)


def marks(canvas: Canvas, events: Sequence[Event]) -> Lane:
    """Aborts, errors of the harness, warnings of the platform and notes, each with its shape; texts where they fit."""
    found = [e for e in events if e.kind in MARKED]
    if not found:
        return Lane("", 0.0)
    shown = sorted(sorted(found, key=lambda e: MARKED.index(e.kind))[:MOST_MARKS], key=lambda e: e.at)
    name, pushed = row_name(canvas, "Marks", middle=MARK_ROW / 2)
    parts, free = [name], [0.0]
    for event in shown:
        x, text = canvas.x(event.at), line(event.text)
        long = min(width_of(text), LONGEST_WARNING) if event.kind == "warning" else width_of(text)
        rightwards = long <= canvas.width - x - 12 or x < canvas.left + canvas.plot_width / 2
        room = canvas.width - x - 12 if rightwards else x - 12 - canvas.left * canvas.beside
        short = fitted(text, min(room, LONGEST_WARNING) if event.kind == "warning" else room)
        start = x - 8 if rightwards else x - 13 - width_of(short)
        row = next((i for i, taken in enumerate(free) if taken <= start), len(free))
        if row == MOST_MARK_ROWS:
            # Too crowded for its text; the shape still stands, and the list below the chart tells the rest.
            row, short = row - 1, ""
        # One that got no text leaves those that did as much room as they need.
        free[row : row + 1] = [max([x + 13 + (width_of(short) if rightwards else 0.0), *free[row : row + 1]])]
        middle = pushed + (row + 0.5) * MARK_ROW
        text_x, anchor = (x + 11, None) if rightwards else (x - 11, "end")
        parts.append(
            element(
                "g",
                tooltip(f"{event.at:.2f} s, {event.kind}: {text}"),
                element("path", d=_shape(event.kind, x, middle), class_=f"mark {event.kind}"),
                label(short, x=text_x, y=middle + 4, class_="beside", anchor=anchor) if short else "",
            )
        )
    return Lane("".join(parts), pushed + len(free) * MARK_ROW)


def aborts(canvas: Canvas, events: Sequence[Event], *, top: float, bottom: float) -> str:
    """Where the run was aborted, through every lane."""
    moments = [canvas.x(e.at) for e in events if e.kind == "abort"]
    d = "".join(f"M{number(x)} {number(top)}V{number(bottom)}" for x in moments)
    return element("path", d=d, class_="abort-line") if d else ""


def _shape(kind: str, x: float, y: float) -> str:
    at = f"M{number(x)} {number(y)}"
    if kind == "abort":
        return f"{at}m-3-7h6l4 4v6l-4 4h-6l-4-4v-6z"
    if kind in ("error", "warning"):
        return f"{at}m0-7l7 13h-14z"
    return f"{at}m-4 0a4 4 0 1 0 8 0a4 4 0 1 0-8 0"
