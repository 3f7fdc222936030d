"""`chaos gameday validate` and `plan`: what is planned, and when."""

import json
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from brownout.cli.gameday import _common
from brownout.cli.gameday._common import JSON, PLAN, day

if TYPE_CHECKING:
    from brownout.gameday.plan import GameDay


@click.command()
@PLAN
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

    now = _common.current_time()
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


@click.command("plan")
@click.argument("plans", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--count", type=click.IntRange(1, 400), default=8, show_default=True, help="Dates to show.")
@click.option("--from", "since", metavar="DATE", help="Begin on this day (UTC).  [default: now]")
@JSON
def plan_(plans: Sequence[Path], count: int, since: str | None, as_json: bool) -> None:
    """The next dates of all PLANS together: what falls into a blackout, and what meets another on its target."""
    from brownout.cli._told import told
    from brownout.gameday.agenda import agenda
    from brownout.gameday.governance import on_the_wall
    from brownout.gameday.reader import read_plan

    after = _common.current_time() if since is None else day(since)
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
