"""`chaos gameday`: drills that are planned in a file, permitted by rules, played in order and written down."""

import click

from brownout.cli.gameday.engines import rules, schedule
from brownout.cli.gameday.keeping import record, status
from brownout.cli.gameday.planning import plan_, validate
from brownout.cli.gameday.playing import check_in, run


@click.group()
def gameday() -> None:
    """Plan game days, start them if the rules permit, and keep their record."""


for _command in (validate, plan_, schedule, rules, check_in, status, run, record):
    gameday.add_command(_command)
