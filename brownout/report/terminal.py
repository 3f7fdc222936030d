"""What `chaos run` shows: progress on stderr while it lasts, and then the verdict on stdout."""

import sys
from pathlib import Path
from typing import IO, TYPE_CHECKING, TextIO, cast

from brownout.judge import Judgement
from brownout.report.progress import JsonProgress, LiveStats, PlainProgress, Progress
from brownout.report.streams import Forgiving
from brownout.report.summary import BLOCKS, ICONS, further_reasons
from brownout.report.text import clean, line

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

__all__ = [
    "JsonProgress",
    "LiveStats",
    "PlainProgress",
    "Progress",
    "console_for",
    "make_progress",
    "summary",
    "verdict_table",
]

STYLES = {"passed": "green", "failed": "red", "inconclusive": "yellow", "aborted": "magenta"}
NARROW = 100
"""Columns under which the table does without what was asked for: the check says it too."""
TINY = 60
"""Columns under which what was measured stands below the check, for want of a column of its own."""
PIPED = 120
"""Columns where nobody says how wide it is."""
REASONS = 6


def make_progress(*, as_json: bool = False) -> Progress:
    """The way of telling that suits where stderr goes."""
    if as_json:
        return JsonProgress(sys.stderr)
    console = console_for(sys.stderr)
    if console.is_terminal and not console.is_dumb_terminal:
        from brownout.report.live import LiveProgress  # noqa: PLC0415 - only a terminal needs it

        return LiveProgress(console)
    return PlainProgress(sys.stderr)


def verdict_table(judgement: Judgement, *, width: int = PIPED) -> "Table":
    """Every check with its verdict, by the block that it stands in, for a terminal of `width` columns."""
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415 - a run that prints JSON shows no table
    from rich.table import Table  # noqa: PLC0415 - likewise
    from rich.text import Text  # noqa: PLC0415 - likewise

    table = Table(box=SIMPLE_HEAD, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column("Verdict", no_wrap=True)
    table.add_column("Check", overflow="fold")
    if width >= NARROW:
        table.add_column("Asked for", overflow="fold")
    if width >= TINY:
        table.add_column("Measured", overflow="fold")
        table.add_column("Samples", justify="right", no_wrap=True)
    for block in dict.fromkeys([*BLOCKS, *(one.block for one in judgement.judged)]):
        members = [one for one in judgement.judged if one.block == block]
        if not members:
            continue
        table.add_row("", Text(BLOCKS.get(block, block), style="bold"))
        for one in members:
            verdict = one.verdict
            style = STYLES[verdict.outcome]
            figure = Text(line(verdict.figure), style="bold" if verdict.outcome == "passed" else f"bold {style}")
            check = Text(line(one.check.title))
            if width < TINY:
                check.append("\n").append_text(figure)
            if verdict.why:
                check.append("\n" + line(verdict.why), style="dim")
            cells = [Text(f"{ICONS[verdict.outcome]} {verdict.outcome}", style=style), check]
            if width >= NARROW:
                cells.append(Text(line(verdict.threshold), style="dim"))
            if width >= TINY:
                cells += [figure, Text(str(verdict.samples), style="dim")]
            table.add_row(*cells)
        table.add_section()
    return table


def summary(
    judgement: Judgement,
    *,
    run_folder: Path | None,
    report: Path | None,
    headline: str = "",
    console: "Console | None" = None,
) -> None:
    """Print the verdict: the table, what happened in a few sentences, why it is no pass, and where the report is.

    `console` is stdout where it is not given.
    """
    from rich.padding import Padding  # noqa: PLC0415 - a run that prints JSON shows none of this
    from rich.text import Text  # noqa: PLC0415 - likewise

    console = console or console_for(sys.stdout)
    style = STYLES[judgement.outcome]
    if judgement.judged:
        console.print(verdict_table(judgement, width=console.width))
    verdict = Text(f"{ICONS[judgement.outcome]} {judgement.outcome}", style=f"bold {style}")
    console.print(verdict)
    if headline:
        console.print(Padding(Text(line(headline, limit=2000)), (0, 0, 0, 2), expand=False))
    reasons = further_reasons(judgement) if headline else judgement.reasons
    for reason in reasons[:REASONS]:
        console.print(Padding(Text(f"• {line(reason)}", style=style), (0, 0, 0, 2), expand=False))
    if len(reasons) > REASONS:
        console.print(Text(f"  and {len(reasons) - REASONS} more", style=style))
    paths = {"report": report, "run": run_folder}
    for name, path in paths.items():
        if path is not None:
            # A path is for copying: it must not be broken where the terminal ends.
            console.print(Text(f"  {name:<7} {clean(path)}"), soft_wrap=True)


def console_for(stream: TextIO | None) -> "Console":
    """A console on which what a file says is never markup; it never raises for its stream."""
    from rich.console import Console  # noqa: PLC0415 - a run that prints JSON needs none

    file = Forgiving(stream)
    console = Console(file=cast("IO[str]", file), highlight=False, emoji=False, markup=False)
    if not console.is_terminal:
        console.width = PIPED
    return console
