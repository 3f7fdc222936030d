"""`chaos gameday`: drills that are planned in a file, permitted by rules, played in order and written down."""

import json
import sys
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from brownout.gameday.journal import Journal
    from brownout.gameday.plan import GameDay

_PLAN = click.argument("plan", type=click.Path(path_type=Path))
_JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON.")


def _now() -> datetime:
    """The one place where these commands take the time."""
    from datetime import UTC

    return datetime.now(UTC)


@click.group()
def gameday() -> None:
    """Plan game days, start them if the rules permit, and keep their record."""


@gameday.command()
@_PLAN
def validate(plan: Path) -> None:
    """Check the game day in PLAN, its experiments and its calendars; starts nothing.

    Says as well what in the plan would refuse every start: no runbook, no rollback plan, nobody to abort it, a fault
    that cannot say that it stays within the blast radius.

    Exit codes: 0 it can be used, 2 it cannot.
    """
    from datetime import timedelta

    from brownout.cli._told import told
    from brownout.errors import EXIT_BAD_INPUT
    from brownout.gameday.blackouts import closures
    from brownout.gameday.facts import problems_of_experiments, runbook_found
    from brownout.gameday.governance import never_startable
    from brownout.gameday.radius import beyond_radius, limits_nothing
    from brownout.gameday.reader import read_plan

    now = _now()
    with told():
        read = read_plan(plan)
        closures(read.blackouts, now, now + timedelta(days=366), zone=read.schedule.zone)
    problems = problems_of_experiments(read)
    refusals = never_startable(read, runbook_found=runbook_found(read), beyond=beyond_radius(read))
    problems += [f"{plan}: no start: {one}" for one in refusals]
    for problem in problems:
        click.echo(f"Error: {problem}", err=True)
    if problems:
        sys.exit(EXIT_BAD_INPUT)
    for warning in (*_of_clocks(read, now), *_of_webhooks(read)):
        click.echo(f"Note: {warning}")
    if limits_nothing(read):
        click.echo(f"Note: the blast radius limits nothing: {_target(read)} has no traffic but the drill's own")
    experiments = len(read.experiments)
    click.echo(f"{plan} is valid: {experiments} experiment{'s' if experiments != 1 else ''} on {_target(read)}")


def _target(plan: "GameDay") -> str:
    from brownout.gameday.facts import target_of

    return f"the {target_of(plan)} target"


def _of_clocks(plan: "GameDay", now: datetime) -> Sequence[str]:
    from brownout.gameday.schedule import YEARS_AHEAD, clock_changes

    words = {"skipped": "does not exist", "twice": "comes twice"}
    return [
        f"on {one.wall:%Y-%m-%d} {one.wall:%H:%M} {words[one.kind]} in {plan.schedule.zone.key} (clocks change)"
        for one in clock_changes(plan.schedule, now, before=now + YEARS_AHEAD)
    ]


def _of_webhooks(plan: "GameDay") -> Sequence[str]:
    if not plan.notify:
        return []
    import os

    from brownout.errors import EnvironmentProblem
    from brownout.gameday.notify import webhooks

    try:
        webhooks(plan.notify, os.environ)
    except EnvironmentProblem as problem:
        return [f"{line}; a start here is refused" for line in str(problem).splitlines()]
    return []


@gameday.command("plan")
@click.argument("plans", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--count", type=click.IntRange(1, 400), default=8, show_default=True, help="Dates to show.")
@click.option("--from", "since", metavar="DATE", help="Begin on this day (UTC).  [default: now]")
@_JSON
def plan_(plans: Sequence[Path], count: int, since: str | None, as_json: bool) -> None:
    """The next dates of all PLANS together: what falls into a blackout, and what meets another on its target."""
    from brownout.cli._told import told
    from brownout.gameday.agenda import agenda
    from brownout.gameday.governance import on_the_wall
    from brownout.gameday.reader import read_plan

    after = _now() if since is None else _day(since)
    with told():
        read = [read_plan(path) for path in plans]
        dates = agenda(read, after, count=count)
    if as_json:
        shown = [
            {
                "plan": one.plan.name,
                "title": one.plan.title,
                "time_zone": one.plan.schedule.zone.key,
                "start": one.start.isoformat(),
                "end": one.end.isoformat(),
                "blackouts": list(one.blackouts),
                "conflicts": list(one.conflicts),
            }
            for one in dates
        ]
        click.echo(json.dumps({"dates": shown}, ensure_ascii=False, indent=2))
        return
    width = max((len(one.plan.name) for one in dates), default=0)
    for one in dates:
        notes = [f"no drill: {why}" for why in one.blackouts]
        notes += [f"conflict: {other} on the same target" for other in one.conflicts]
        line = f"{on_the_wall(one.start, one.plan.schedule.zone):<26}  {one.plan.name:<{width}}  {one.plan.title}"
        click.echo(line + (f"  ({'; '.join(notes)})" if notes else ""))
    if not dates:
        click.echo("No date within ten years.")


def _day(text: str) -> datetime:
    from datetime import UTC

    try:
        return datetime.combine(date.fromisoformat(text), datetime.min.time(), UTC)
    except ValueError:
        msg = f"{text!r}: expected a date such as 2027-12-24"
        raise click.UsageError(msg) from None


@gameday.command()
@_PLAN
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

    now = _now()
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


@gameday.command()
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


@gameday.command("check-in")
@_PLAN
@click.option("--as", "who", metavar="NAME", required=True, help="One of those who may hold the abort, by PLAN.")
def check_in(plan: Path, who: str) -> None:
    """Say that you are at hand to abort PLAN's next drill; it counts for four hours."""
    from brownout.cli._told import told
    from brownout.errors import InvalidInput
    from brownout.gameday.governance import CHECK_IN_LASTS, on_the_wall
    from brownout.gameday.journal import Journal
    from brownout.gameday.reader import read_plan

    now = _now()
    with told():
        read = read_plan(plan)
        if who not in read.people.abort:
            msg = f"{plan} does not let {who!r} hold the abort (people: abort)"
            raise InvalidInput(msg, value=who, allowed=read.people.abort)
        with Journal.open() as journal:
            journal.check_in(read.name, who, now)
    click.echo(f"{who} holds the abort of {read.name} until {on_the_wall(now + CHECK_IN_LASTS, read.schedule.zone)}")


@gameday.command()
@_JSON
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Drills that go on, that were interrupted, whose review is due; open follow-ups; starts that were refused lately.

    Exit codes: 0 nothing is overdue, 1 a review or a follow-up is, or an interrupted drill waits to be looked at.
    """
    from brownout.cli._told import told
    from brownout.gameday.journal import Journal
    from brownout.gameday.minutes import Minutes
    from brownout.gameday.status import as_text, now_open, to_json

    now = _now()
    with told(), Journal.open() as journal, Minutes.open() as minutes:
        found = now_open(journal, minutes, now)
    click.echo(json.dumps(to_json(found), ensure_ascii=False, indent=2) if as_json else as_text(found))
    ctx.exit(1 if found.overdue else 0)


@gameday.command()
@_PLAN
@click.option(
    "--if-due", is_flag=True, help="For engines: where it is no time for it, or done already, say so and exit 0."
)
@click.option(
    "--override", "rules", metavar="RULE", multiple=True, help="Start although this rule says no. Repeatable."
)
@click.option("--by", metavar="NAME", help="With --override: who takes it on themselves; somebody whom PLAN names.")
@click.option("--because", metavar="TEXT", help="With --override: why.")
@click.option("--scale", type=float, default=1.0, help="Of every experiment, as of `chaos run`; pauses shrink with it.")
@click.option(
    "--runs-dir", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="For its folder."
)
@click.option("--instance", default="default", show_default=True, help="Name of the target's instance.")
@click.option(
    "--room/--no-room",
    default=None,
    help="Open the control room, and wait for somebody to hold the abort there.  [default: where there is a terminal]",
)
@click.option("--room-port", type=click.IntRange(0, 65535), default=0, help="Of the control room.  [default: any]")
@click.pass_context
def run(ctx: click.Context, /, plan: Path, if_due: bool, **options: Any) -> None:
    """Play the drill in PLAN, if the rules permit: all its experiments in order, with their pauses.

    Ctrl-C aborts the drill, as the control room's ABORT does: what is broken is healed, nothing else is started. So
    does an experiment that was aborted; and, with the control room, losing its holder of the abort for 15 seconds.

    Exit codes: 0 passed, 1 an experiment failed, 2 refused or could not run, 3 inconclusive, 4 aborted.
    """
    import asyncio

    from brownout.cli._drill import Wanted, drilled
    from brownout.cli._told import told
    from brownout.gameday.start import Start

    rules, by, because = options["rules"], options["by"], options["because"]
    if bool(rules) != bool(by) or bool(rules) != bool(because):
        msg = "--override RULE, --by NAME and --because TEXT belong together"
        raise click.UsageError(msg)
    room = options["room"]
    if room is None:
        # What an engine starts has nobody who would open it.
        room = not if_due and sys.stdin.isatty() and sys.stdout.isatty()
    if options["room_port"] and not room:
        msg = "--room-port belongs to --room"
        raise click.UsageError(msg)
    asked = Start(
        file=plan,
        instance=options["instance"],
        runs_dir=options["runs_dir"],
        overrides=tuple((rule, by, because) for rule in rules),
        if_due=if_due,
    )
    wanted = Wanted(
        scale=options["scale"],
        settings=ctx.obj["settings_path"],
        room_port=options["room_port"] if room else None,
    )
    with told():
        code = asyncio.run(drilled(asked, wanted, now=_now))
    ctx.exit(code)


@gameday.command()
@click.argument("drill")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the record as an HTML page.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as an entry of a runbook, in Markdown.",
)
@_JSON
@click.option("--looked", is_flag=True, help="You have looked at what this interrupted drill left behind.")
@click.option("--reviewed", is_flag=True, help="It has been reviewed.")
@click.option("--follow-up", metavar="TEXT", help="Something is to be done: needs --owner.")
@click.option("--owner", metavar="NAME", help="With --follow-up: who does it.")
@click.option("--due", metavar="DATE", help="With --follow-up: until when.")
@click.option("--done", type=int, metavar="NUMBER", help="A follow-up is done.")
@click.option("--by", metavar="NAME", help="Who you are, for --looked, --reviewed and --done.")
def record(drill: str, **options: Any) -> None:
    """Show the record of DRILL, write it to a file, or add to it.

    A drill that has ended has its record in its folder: record.html and record.md. What is added is written there, too.
    """
    from brownout.cli._told import told
    from brownout.gameday.journal import Journal
    from brownout.gameday.minutes import Minutes
    from brownout.gameday.record import as_text, rewrite, view_of, write_html, write_markdown
    from brownout.gameday.record.told import to_json

    adds = _checked(options)
    now = _now()
    due = _day(options["due"]).date() if options["due"] else None
    with told(), Journal.open() as journal, Minutes.open() as minutes:
        _add(journal, drill, options, due=due, now=now)
        if adds:
            rewrite(journal, minutes, drill)
        files, as_json = (options["html"], options["markdown"]), options["as_json"]
        view = view_of(journal, minutes, drill) if as_json or any(files) else None
        for path, write in zip(files, (write_html, write_markdown), strict=True):
            if view is not None and path is not None:
                write(view, path)
        if view is not None and as_json:
            click.echo(json.dumps(to_json(view), ensure_ascii=False, indent=2))
        elif not any(files):
            click.echo(as_text(journal, minutes, drill))
        else:
            click.echo("\n".join(str(path) for path in files if path is not None))


def _checked(options: Mapping[str, Any]) -> bool:
    """Whether something is to be added; what does not belong together is refused."""
    by = options["by"]
    if (options["looked"] or options["reviewed"] or options["done"] is not None) and not by:
        msg = "--looked, --reviewed and --done need --by NAME: it stands in the record"
        raise click.UsageError(msg)
    if bool(options["follow_up"]) != bool(options["owner"]):
        msg = "--follow-up TEXT and --owner NAME belong together: what nobody owns nobody does"
        raise click.UsageError(msg)
    if options["due"] and not options["follow_up"]:
        msg = "--due belongs to --follow-up"
        raise click.UsageError(msg)
    return bool(options["looked"] or options["reviewed"] or options["follow_up"] or options["done"] is not None)


def _add(journal: "Journal", drill: str, options: Mapping[str, Any], *, due: date | None, now: datetime) -> None:
    by = options["by"]
    if options["looked"]:
        journal.look(drill, by=by, at=now)
    if options["reviewed"]:
        journal.review(drill, by=by, at=now)
    if options["follow_up"]:
        journal.follow_up(drill, options["follow_up"], owner=options["owner"], due=due, at=now)
    if options["done"] is not None:
        journal.close_follow_up(options["done"], drill=drill, by=by, at=now)
