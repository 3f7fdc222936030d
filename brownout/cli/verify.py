"""`chaos verify`: judge a recorded run again, from its evidence alone."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from brownout.rejudge import JudgedRun


@click.command("verify")
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the verdict as JSON.")
@click.pass_context
def verify(ctx: click.Context, run: Path, *, as_json: bool) -> None:
    """Judge the recorded RUN again: a run folder, or its evidence.sqlite.

    Uses the experiment as it ran, which the evidence holds, and says whether the verdict is still the one that the run
    came to.

    Exit codes: 0 passed, 1 failed, 2 no such run, 3 inconclusive, 4 aborted.
    """
    from brownout.cli._told import told
    from brownout.rejudge import read_judged

    with told():
        found = read_judged(run)
    if as_json:
        click.echo(json.dumps(_as_json(found), ensure_ascii=False, indent=2))
    else:
        _show(found)
    ctx.exit(found.judgement.exit_code)


def _as_json(run: "JudgedRun") -> dict[str, object]:
    from brownout.evidence.store import as_json, recorded

    return {
        "title": run.info.title,
        "outcome": run.judgement.outcome,
        "reasons": list(run.judgement.reasons),
        "recorded_outcome": run.info.outcome,
        "same": not run.differences,
        "differences": list(run.differences),
        "checks": as_json(recorded(run.judgement.judged)),
    }


def _show(run: "JudgedRun") -> None:
    from brownout.report.summary import headline
    from brownout.report.terminal import console_for, summary
    from brownout.report.text import line

    console = console_for(sys.stdout)
    console.print(line(run.info.title))
    summary(
        run.judgement,
        run_folder=None,
        report=None,
        headline=headline(run.recording, run.judgement, duration=run.judgement.end),
        console=console,
    )
    if not run.differences:
        console.print("The same verdict as the run's own.")
        return
    console.print("Not the run's own verdict:")
    for difference in run.differences:
        console.print(f"• {line(difference)}", soft_wrap=True)
