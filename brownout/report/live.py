"""Progress on a terminal: what is over stays as lines, what is going on is one live block below them."""

import time
from collections.abc import Callable
from typing import cast

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, Group, RenderResult
from rich.live import Live
from rich.spinner import Spinner
from rich.text import Text

from brownout.report.progress import ALARMS, LiveStats, figures, states
from brownout.report.text import line
from brownout.units import format_seconds

NAME = 13
"""Columns for a phase's name, so that the lines stand under one another."""
BAR = (10, 24)
"""The least and the most columns that the bar is given."""


class LiveProgress:
    """See the module. Draws itself twice a second on rich's own thread, so that a long silence is seen to move."""

    def __init__(self, console: Console, *, now: Callable[[], float] = time.monotonic) -> None:
        self._console = console
        self._now = now
        self._phase: str | None = None
        self._since = 0.0
        self._span: tuple[float, float] | None = None
        self._said = ""
        self._stats: LiveStats | None = None
        self._marred = False
        self._spinner = Spinner("dots", style="cyan") if console.encoding.startswith("utf") else Spinner("line")
        self._live = Live(self, console=console, refresh_per_second=2, transient=True, redirect_stdout=False)

    def phase(self, name: str, *, start: float | None = None, end: float | None = None) -> None:
        span = None if start is None or end is None else (start, end)
        if name == self._phase:
            self._span = span if self._span is None or span is None else (min(self._span[0], span[0]), span[1])
            return
        self._finish()
        self._phase, self._since, self._span, self._said, self._marred = name, self._now(), span, "", False
        if not self._live.is_started:
            self._live.start(refresh=True)

    def say(self, text: str) -> None:
        self._said = line(text, limit=200)

    def tick(self, stats: LiveStats) -> None:
        self._stats = stats

    def note(self, at: float, text: str) -> None:
        shown = line(text)
        bad = shown.startswith(ALARMS)
        self._marred = self._marred or bad
        row = Text(f"  {at:7.1f} s  ", style="dim", no_wrap=False)
        row.append(shown, style="bold red" if bad else "not dim")
        self._console.print(row, soft_wrap=False)

    def close(self) -> None:
        self._finish()
        if self._live.is_started:
            self._live.stop()

    def _finish(self) -> None:
        if self._phase is None:
            return
        row = Text("! " if self._marred else "✓ ", style="yellow" if self._marred else "green")
        row.append(line(self._phase, limit=40).ljust(NAME), style="default")
        row.append(format_seconds(round(self._now() - self._since, 1)), style="dim")
        self._phase = None
        self._console.print(row, no_wrap=True, overflow="ellipsis", crop=True)

    # -- the live block ------------------------------------------------------------------------------------------

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        if self._phase is None:
            return
        width = options.max_width
        head = Text(no_wrap=True, overflow="ellipsis")
        head.append_text(cast("Text", self._spinner.render(console.get_time())))
        head.append(" " + line(self._phase, limit=40).ljust(NAME), style="bold")
        stats = self._stats
        if self._span is None or stats is None:
            head.append(format_seconds(round(self._now() - self._since)), style="dim")
            if self._said:
                head.append(f"  {self._said}", style="dim")
            head.truncate(width, overflow="ellipsis")
            yield head
            return
        clock = f" {stats.elapsed:.0f}/{stats.total:.0f} s"
        room = width - cell_len(head.plain) - len(clock)
        shown: list[str] = []
        for part in figures(stats):
            if sum(map(len, shown)) + 2 * len(shown) + 2 + len(part) > room - BAR[0]:
                break
            shown.append(part)
        taken = sum(len(part) + 2 for part in shown)
        bar = min(max(room - taken, 0), BAR[1])
        if bar >= BAR[0] // 2:
            head.append_text(self._bar(stats, bar, ascii_only=options.ascii_only))
        head.append(clock)
        for part in shown:
            bad = part.endswith(("error", "errors")) and not part.startswith("0 ")
            head.append("  ")
            head.append(part, style="red" if bad else "dim")
        head.truncate(width, overflow="ellipsis")
        below = [head]
        if wrong := states(stats):
            row = Text("  " + " " * NAME + " · ".join(wrong), style="yellow", no_wrap=True, overflow="ellipsis")
            row.truncate(width, overflow="ellipsis")
            below.append(row)
        yield Group(*below)

    def _bar(self, stats: LiveStats, width: int, *, ascii_only: bool) -> Text:
        start, end = self._span or (0.0, stats.total)
        part = min(max((stats.elapsed - start) / (end - start), 0.0), 1.0) if end > start else 1.0
        full = round(part * width)
        on, off = ("#", "-") if ascii_only else ("━", "─")
        return Text(on * full, style="cyan").append(off * (width - full), style="dim")
