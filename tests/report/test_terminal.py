"""What `chaos run` shows, on a terminal, in a log, as JSON, and into a pipe that was closed."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from brownout.report.live import LiveProgress
from brownout.report.progress import JsonProgress, LiveStats, PlainProgress, Progress, SharedProgress
from brownout.report.streams import Forgiving
from brownout.report.terminal import make_progress, summary, verdict_table

Made = dict[str, Callable[..., Any]]
BROKEN = LiveStats(
    elapsed=14.0,
    total=60.0,
    requests=280,
    rate=20.2,
    errors=3,
    ttft_p95=0.268,
    degraded_share=0.97,
    breakers={"vector-db": "open", "cache": "closed"},
    faults=(("partition gateway → vector-db", 16.0),),
)


class Stopwatch:
    """A clock that is moved by hand."""

    at = 0.0

    def __call__(self) -> float:
        return self.at


def play(progress: Progress, watch: Stopwatch) -> None:
    progress.phase("bring up")
    progress.say("PostgreSQL is up")
    watch.at = 3.2
    progress.phase("steady state", start=0, end=10)
    progress.tick(LiveStats(5.0, 60.0, 100, 20.0, 0))
    progress.note(10.02, "partition gateway → vector-db: on")
    progress.phase("method", start=10, end=20)
    progress.phase("method", start=20, end=30)
    progress.tick(BROKEN)
    watch.at = 23.2
    progress.note(21.0, "ABORTED: availability")
    progress.close()
    progress.close()


def test_a_log_has_a_line_for_every_start_end_and_note_and_figures_now_and_then() -> None:
    out, watch = io.StringIO(), Stopwatch()
    play(PlainProgress(out, now=watch), watch)
    assert out.getvalue().splitlines() == [
        "bring up",
        "  PostgreSQL is up",
        "bring up: over after 3.2 s",
        "steady state, 0 s to 10 s of the run",
        "      5.0 s  100 requests, 20/s, 0 errors",
        "     10.0 s  partition gateway → vector-db: on",
        "steady state: over after 0 s",
        "method, 10 s to 20 s of the run",
        "     14.0 s  280 requests, 20/s, 3 errors, p95 268 ms, 97.0 % degraded, "
        "partition gateway → vector-db, 16 s left, vector-db open",
        "     21.0 s  ABORTED: availability",
        "method: over after 20 s",
    ]


def test_a_log_has_figures_every_five_seconds_of_the_run_only() -> None:
    out = io.StringIO()
    progress = PlainProgress(out)
    for tick in range(120):
        progress.tick(LiveStats(tick * 0.5, 60.0, tick * 10, 20.0, 0))
    assert len(out.getvalue().splitlines()) == 11


def test_json_has_one_object_a_line() -> None:
    out = io.StringIO()
    play(JsonProgress(out), Stopwatch())
    rows = [json.loads(row) for row in out.getvalue().splitlines()]
    assert [row["event"] for row in rows] == [
        "phase", "say", "phase", "tick", "note", "phase", "phase", "tick", "note", "end",
    ]  # fmt: skip
    assert rows[7]["breakers"] == {"vector-db": "open", "cache": "closed"}
    assert rows[7]["faults"] == [["partition gateway → vector-db", 16.0]]


def test_the_verdict_is_an_event_too_whatever_a_probe_puts_into_it() -> None:
    out = io.StringIO()
    progress = JsonProgress(out, now=lambda: 1_700_000_000.1234)
    progress.verdict({"outcome": "failed", "checks": [{"value": Path("odd")}]})
    progress.close()
    progress.close()
    assert [json.loads(row) for row in out.getvalue().splitlines()] == [
        {"event": "verdict", "time": 1700000000.123, "outcome": "failed", "checks": [{"value": "odd"}]},
        {"event": "end", "time": 1700000000.123},
    ]


def test_several_are_told_the_same() -> None:
    outs, watch = [io.StringIO(), io.StringIO(), io.StringIO()], Stopwatch()
    play(SharedProgress(*(PlainProgress(out, now=watch) for out in outs[:2])), watch)
    watch.at = 0.0
    play(PlainProgress(outs[2], now=watch), watch)
    assert outs[0].getvalue() == outs[1].getvalue() == outs[2].getvalue()


def drawn(width: int, *, then: Callable[[LiveProgress], None], color: bool = False) -> str:
    """What the live block looks like, and the lines above it, without any terminal code."""
    out = io.StringIO()
    console = Console(file=out, width=width, force_terminal=color, no_color=not color, color_system=None)
    progress = LiveProgress(console, now=Stopwatch())
    then(progress)
    with console.capture() as capture:
        console.print(progress)
    progress.close()
    return capture.get()


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120, 200])
def test_the_live_block_fits_every_terminal_and_names_what_is_wrong(width: int) -> None:
    def method(progress: LiveProgress) -> None:
        progress.phase("method", start=10, end=30)
        progress.tick(BROKEN)

    rows = drawn(width, then=method).splitlines()
    assert len(rows) == 2
    assert all(len(row) <= width for row in rows)
    assert "method" in rows[0]
    if width >= 80:
        assert "14/60 s  20/s  3 errors  p95 268 ms  97.0 % degraded" in rows[0]
        assert "partition gateway → vector-db, 16 s left · vector-db open" in rows[1]


def test_while_it_is_brought_up_the_live_line_says_what_is_done() -> None:
    def up(progress: LiveProgress) -> None:
        progress.phase("bring up")
        progress.say("PostgreSQL is up\x1b[31m")

    assert "PostgreSQL is up�[31m" in drawn(80, then=up)


def test_finished_phases_stay_as_lines_with_their_duration() -> None:
    out, watch = io.StringIO(), Stopwatch()
    play(LiveProgress(Console(file=out, width=80, no_color=True), now=watch), watch)
    text = out.getvalue()
    assert "✓ bring up     3.2 s" in text
    assert "✓ steady state 0 s" in text
    assert "! method       20 s" in text
    assert "21.0 s  ABORTED: availability" in text


@pytest.mark.parametrize("width", [40, 80, 120])
def test_the_table_shows_every_check_at_every_width(width: int, made: Made) -> None:
    told = made["failed"]()
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(verdict_table(told.judgement, width=width))
    text = out.getvalue()
    assert all(len(row) <= width for row in text.splitlines())
    outcomes = [one.verdict.outcome for one in told.judgement.judged]
    for sign, outcome in (("✓", "passed"), ("✗", "failed"), ("?", "inconclusive")):
        assert text.count(f"{sign} {outcome}") == outcomes.count(outcome)
    assert "71.8 %" in text


def test_the_summary_ends_with_the_verdict_and_where_the_report_is(made: Made, tmp_path: Path) -> None:
    told, out = made["failed"](), io.StringIO()
    folder = tmp_path / ("long " * 30)
    console = Console(file=out, width=80, no_color=True)
    summary(told.judgement, run_folder=folder, report=folder / "report.html", headline="It broke.", console=console)
    text = out.getvalue()
    assert "✗ failed\n  It broke.\n  • during: availability: at-least 99%: 71.8 %\n" in text
    assert f"report  {folder / 'report.html'}\n" in text


def test_hostile_text_reaches_no_terminal(made: Made, tmp_path: Path) -> None:
    told, out = made["hostile"](), io.StringIO()
    summary(told.judgement, run_folder=tmp_path, report=None, console=Console(file=out, width=200, no_color=True))
    assert "\x1b" not in out.getvalue()
    assert "\u202e" not in out.getvalue()
    assert "[bold]" in out.getvalue()


def test_a_stream_that_cannot_show_our_signs_gets_others_of_the_same_width() -> None:
    raw = io.BytesIO()
    stream = Forgiving(io.TextIOWrapper(raw, encoding="ascii", write_through=True))
    stream.write("✓ a → b ✗ é")
    assert raw.getvalue() == b"+ a > b x ?"


def test_a_stream_that_was_closed_before_or_is_closed_meanwhile_is_forgiven() -> None:
    never = Forgiving(None)
    assert never.write("x") == 1
    assert not never.isatty()
    out = io.StringIO()
    progress = PlainProgress(out)
    out.close()
    play(progress, Stopwatch())


@pytest.mark.parametrize("way", ["PlainProgress", "JsonProgress"])
@pytest.mark.process
def test_a_reader_that_leaves_neither_ends_the_run_nor_changes_its_exit_code(way: str) -> None:
    code = (
        f"import sys; from brownout.report.progress import {way}, LiveStats; p = {way}(sys.stderr); p.phase('a')\n"
        "sys.stdin.readline()\n"
        "for i in range(20000): p.tick(LiveStats(i * 10.0, 1.0, 1, 1.0, 0))\n"
        "p.close(); sys.exit(3)"
    )
    process = subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdin is not None
    assert process.stderr is not None
    assert process.stderr.readline()
    process.stderr.close()
    process.stdin.write("\n")
    process.stdin.close()
    assert process.wait(timeout=60) == 3


def test_without_a_terminal_the_progress_is_plain_and_json_where_asked_for(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(make_progress(), PlainProgress)
    assert isinstance(make_progress(as_json=True), JsonProgress)
    assert capsys.readouterr().out == ""


def test_importing_the_terminal_brings_neither_jinja_nor_rich() -> None:
    code = "import sys, brownout.report.terminal as t; print({'jinja2', 'rich'} & set(sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert found.stdout.strip() == "set()"
