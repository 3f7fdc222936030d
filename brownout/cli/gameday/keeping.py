"""`chaos gameday status` and `record`: what came of drills, and what is still to be done."""

import json
from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from brownout.cli.gameday import _common
from brownout.cli.gameday._common import JSON, day

if TYPE_CHECKING:
    from brownout.gameday.journal import Journal


@click.command()
@JSON
@click.pass_context
def status(ctx: click.Context, as_json: bool) -> None:
    """Drills that go on, that were interrupted, whose review is due; open follow-ups; starts that were refused lately.

    Exit codes: 0 nothing is overdue, 1 a review or a follow-up is, or an interrupted drill waits to be looked at.
    """
    from brownout.cli._told import told
    from brownout.gameday.journal import Journal
    from brownout.gameday.minutes import Minutes
    from brownout.gameday.status import as_text, now_open, to_json

    now = _common.current_time()
    with told(), Journal.open() as journal, Minutes.open() as minutes:
        found = now_open(journal, minutes, now)
    click.echo(json.dumps(to_json(found), ensure_ascii=False, indent=2) if as_json else as_text(found))
    ctx.exit(1 if found.overdue else 0)


@click.command()
@click.argument("drill")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Write the record as an HTML page.")
@click.option(
    "--markdown",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it as an entry of a runbook, in Markdown.",
)
@JSON
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
    now = _common.current_time()
    due = day(options["due"]).date() if options["due"] else None
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
