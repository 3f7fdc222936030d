"""`chaos report`: a run's report again, from its evidence; or several runs side by side."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from brownout.report.comparison import Comparison
    from brownout.report.view import RunView

FORMATS = ("html", "markdown", "junit")
REPORT, COMPARISON = "report.html", "comparison.html"
EXIT_REGRESSION = 1


@click.command("report")
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    default="html",
    show_default=True,
    help="Markdown (for a comment on a pull request) and JUnit XML go to stdout unless --output says otherwise.",
)
@click.option(
    "--output",
    "-o",
    type=click.Path(path_type=Path, dir_okay=False, allow_dash=True),
    help=f"Write here; - is stdout.  [HTML default: {REPORT} in the run's folder, {COMPARISON} here for several runs]",
)
@click.option("--fail-on-regression", is_flag=True, help="Exit with 1 where a later run is worse than the first.")
@click.pass_context
def report(ctx: click.Context, runs: Sequence[Path], form: str, output: Path | None, fail_on_regression: bool) -> None:
    """Write the report of a recorded RUN again, from its evidence alone; of several, put them side by side.

    A RUN is a run folder, or its evidence.sqlite. Runs that are put side by side are of one experiment; the first is
    the baseline, and what got worse since is marked.

    Exit codes: 0 written, 1 a regression where --fail-on-regression asks, 2 no such run, or it cannot be written.
    """
    from brownout.cli._told import told
    from brownout.rejudge import read_judged
    from brownout.report.view import RunView

    if fail_on_regression and len(runs) < 2:
        msg = "--fail-on-regression needs two runs or more: what is to be compared with what?"
        raise click.UsageError(msg, ctx)
    with told():
        found = [read_judged(run) for run in runs]
        views = [
            RunView(one.info, one.experiment, one.recording, one.judgement, one.name, one.differences) for one in found
        ]
        for view in views:
            for difference in view.differences:
                click.echo(f"{view.name}: not the run's own verdict: {difference}", err=True)
        if len(views) == 1:
            _write(_one(views[0], form), _place(form, output, found[0].evidence.with_name(REPORT)))
            return
        from brownout.report.comparison import compare, same_experiment

        same_experiment(views)
        compared = compare(views)
        _write(_several(compared, form), _place(form, output, Path(COMPARISON)))
    for i in range(1, len(views)):
        click.echo(compared.sentence(i), err=True)
    if fail_on_regression and compared.regressions:
        sys.exit(EXIT_REGRESSION)


def _one(view: "RunView", form: str) -> str:
    if form == "markdown":
        from brownout.report.markdown import markdown

        return markdown(view)
    if form == "junit":
        from brownout.report.junit import junit

        return junit([(view.info, view.judgement)]).decode("utf-8")
    from brownout.report.html import render

    return render(view)


def _several(compared: "Comparison", form: str) -> str:
    if form == "markdown":
        from brownout.report.markdown import side_by_side

        return side_by_side(compared)
    if form == "junit":
        from brownout.report.junit import junit

        return junit([(view.info, view.judgement) for view in compared.views]).decode("utf-8")
    from brownout.report.html import render_comparison

    return render_comparison(compared)


def _place(form: str, output: Path | None, usual: Path) -> Path | None:
    """Where it goes; None is stdout."""
    if output is not None:
        return None if str(output) == "-" else output
    return usual if form == "html" else None


def _write(text: str, path: Path | None) -> None:
    from brownout.errors import EnvironmentProblem
    from brownout.report.html import write_page

    if path is None:
        click.echo(text, nl=False)
        return
    try:
        write_page(path, text)
    except OSError as error:
        msg = f"{path} cannot be written: {error.strerror}; say where with --output"
        raise EnvironmentProblem(msg) from error
    click.echo(f"Written: {path}", err=True)
