"""`chaos gameday check-in` and `run`: a drill, and whoever may abort it."""

import sys
from pathlib import Path
from typing import Any

import click

from brownout.cli.gameday import _common
from brownout.cli.gameday._common import PLAN


@click.command("check-in")
@PLAN
@click.option("--as", "who", metavar="NAME", required=True, help="One of those who may hold the abort, by PLAN.")
def check_in(plan: Path, who: str) -> None:
    """Say that you are at hand to abort PLAN's next drill; it counts for four hours."""
    from brownout.cli._told import told
    from brownout.errors import InvalidInput
    from brownout.gameday.governance import CHECK_IN_LASTS, on_the_wall
    from brownout.gameday.journal import Journal
    from brownout.gameday.reader import read_plan

    now = _common.current_time()
    with told():
        read = read_plan(plan)
        if who not in read.people.abort:
            msg = f"{plan} does not let {who!r} hold the abort (people: abort)"
            raise InvalidInput(msg, value=who, allowed=read.people.abort)
        with Journal.open() as journal:
            journal.check_in(read.name, who, now)
    click.echo(f"{who} holds the abort of {read.name} until {on_the_wall(now + CHECK_IN_LASTS, read.schedule.zone)}")


@click.command()
@PLAN
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
        code = asyncio.run(drilled(asked, wanted, now=_common.current_time))
    ctx.exit(code)
