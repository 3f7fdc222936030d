"""`chaos verify`: judge a recorded run again, from its evidence alone."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from brownout.evidence.store import RecordedRun
    from brownout.judge import Judgement

EVIDENCE = "evidence.sqlite"
CUT_SHORT = "the run was cut short: its evidence has no end"


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
    from brownout.evidence.store import read_run

    with told():
        recorded = read_run(_evidence(run))
        judgement = judge_again(recorded)
    differences = _differences(recorded, judgement)
    if as_json:
        click.echo(json.dumps(_as_json(recorded, judgement, differences), ensure_ascii=False, indent=2))
    else:
        _show(recorded, judgement, differences)
    ctx.exit(judgement.exit_code)


def judge_again(run: "RecordedRun") -> "Judgement":
    """The verdict on a recorded run, from what was recorded.

    Raises:
        BrownoutError: the experiment in it cannot be read with what is installed.
    """
    from brownout import registry
    from brownout.judge import judge
    from brownout.reader import parse_experiment

    info = run.info
    experiment = parse_experiment(info.experiment_source, file=info.experiment_file).scaled(info.scale)
    return judge(
        experiment,
        run.recording,
        probes=registry.probes().get,
        aborted=info.aborted,
        errors=info.errors if info.end is not None else (*info.errors, CUT_SHORT),
        end=run.recording.latest if info.end is None else info.end,
    )


def _evidence(run: Path) -> Path:
    from brownout.errors import BrownoutError

    path = run / EVIDENCE if run.is_dir() else run
    if not path.is_file():
        msg = f"{run} is no run: expected a run folder with {EVIDENCE} in it, or that file"
        raise BrownoutError(msg)
    return path


def _differences(run: "RecordedRun", judgement: "Judgement") -> list[str]:
    """In what the verdict is not the one that the run came to, a sentence each."""
    from brownout.evidence.store import recorded

    if run.info.outcome is None:
        return [CUT_SHORT]
    now = recorded(judgement.judged)
    differences = []
    if judgement.outcome != run.info.outcome:
        differences.append(f"the run said {run.info.outcome}, its evidence says {judgement.outcome}")
    if len(now) != len(run.verdicts):
        differences.append(f"the run judged {len(run.verdicts)} checks, its experiment has {len(now)}")
    differences += [
        f"{new.block}: {new.title}: the run said {old.verdict.outcome} ({old.verdict.figure}), "
        f"its evidence says {new.verdict.outcome} ({new.verdict.figure})"
        for old, new in zip(run.verdicts, now, strict=False)
        if old != new
    ]
    return differences


def _as_json(run: "RecordedRun", judgement: "Judgement", differences: list[str]) -> dict[str, object]:
    from brownout.evidence.store import as_json, recorded

    return {
        "title": run.info.title,
        "outcome": judgement.outcome,
        "reasons": list(judgement.reasons),
        "recorded_outcome": run.info.outcome,
        "same": not differences,
        "differences": differences,
        "checks": as_json(recorded(judgement.judged)),
    }


def _show(run: "RecordedRun", judgement: "Judgement", differences: list[str]) -> None:
    from brownout.report.summary import headline
    from brownout.report.terminal import console_for, summary
    from brownout.report.text import line

    console = console_for(sys.stdout)
    console.print(line(run.info.title))
    summary(
        judgement,
        run_folder=None,
        report=None,
        headline=headline(run.recording, judgement, duration=judgement.end),
        console=console,
    )
    if not differences:
        console.print("The same verdict as the run's own.")
        return
    console.print("Not the run's own verdict:")
    for difference in differences:
        console.print(f"• {line(difference)}", soft_wrap=True)
