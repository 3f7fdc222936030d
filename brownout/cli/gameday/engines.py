"""`chaos gameday schedule` and `rules`: files for what starts drills, and for what watches over objectives."""

from pathlib import Path
from typing import Any

import click

from brownout.cli.gameday import _common
from brownout.cli.gameday._common import PLAN


@click.command()
@PLAN
@click.option(
    "--to",
    "engine",
    required=True,
    type=click.Choice(["kubernetes", "systemd", "cron", "github-actions"]),
    help="The engine that is to keep the calendar.",
)
@click.option("--output", type=click.Path(path_type=Path, file_okay=False), help="Write files here.  [default: stdout]")
@click.option("--image", default="brownout", show_default=True, help="With --to kubernetes: the container's image.")
def schedule(plan: Path, engine: str, output: Path | None, image: str) -> None:
    """Write PLAN's calendar for an engine that keeps calendars: a CronJob, a timer, a crontab, a workflow.

    Whatever it starts asks the rules again when the time has come.
    """
    from brownout.cli._told import told
    from brownout.errors import EnvironmentProblem
    from brownout.gameday.engines import Where, write
    from brownout.gameday.reader import read_plan
    from brownout.gameday.schedule import YEARS_AHEAD, clock_changes

    now = _common.current_time()
    with told():
        read = read_plan(plan)
        changes = list(clock_changes(read.schedule, now, before=now + YEARS_AHEAD))
        files = write(engine, read, Where(folder=Path.cwd(), plan=plan, image=image), changes=changes)
        if output is None:
            _show(files)
            return
        try:
            output.mkdir(parents=True, exist_ok=True)
            for name, text in files.items():
                (output / name).write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"{output} cannot be written to: {error.strerror}"
            raise EnvironmentProblem(msg) from error
    for name in files:
        click.echo(output / name)


def _show(files: Any) -> None:
    for number, (name, text) in enumerate(files.items()):
        if len(files) > 1:
            # As `systemctl cat` does.
            click.echo(f"{chr(10) if number else ''}# {name}")
        click.echo(text, nl=False)


@click.command()
@click.option(
    "--hour", metavar="TIME", help="What an hour of the windows lasts: 60s for a drill of minutes.  [default: 1h]"
)
@click.option(
    "--scraped-every", metavar="TIME", default="15s", show_default=True, help="How often Prometheus scrapes the system."
)
def rules(hour: str | None, scraped_every: str) -> None:
    """Print alerting rules for Prometheus: burn rates of the reference stack's objectives, over several windows each.

    They are those of the SRE workbook: 14.4 times too fast over 1 h and 5 min, 6 times over 6 h and 30 min, 1 time over
    3 d and 6 h.
    """
    from brownout.cli._told import told
    from brownout.gameday.burnrates import rules as written
    from brownout.slo import HOUR

    with told():
        text = written(
            hour=HOUR if hour is None else _seconds("--hour", hour),
            scraped_every=_seconds("--scraped-every", scraped_every),
        )
    click.echo(text, nl=False)


def _seconds(option: str, text: str) -> float:
    from brownout.units import UnitError, parse_seconds

    try:
        seconds = parse_seconds(text)
    except UnitError as error:
        msg = f"{option}: {error}"
        raise click.UsageError(msg) from None
    if seconds <= 0:
        msg = f"{option}: expected more than 0"
        raise click.UsageError(msg)
    return seconds
