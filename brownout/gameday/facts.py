"""What the rules have to know of a plan at one moment, looked up."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from brownout.errors import BrownoutError
from brownout.gameday import schedule
from brownout.gameday.blackouts import closures
from brownout.gameday.governance import Facts
from brownout.gameday.journal import Journal
from brownout.gameday.plan import GameDay
from brownout.prepare import RunOptions, check
from brownout.reader import read_experiment
from brownout.targets import DEFAULT_TARGET


def target_of(plan: GameDay) -> str:
    """The target of the plan; where it names none, of its first experiment that does, else the embedded one."""
    if plan.target is not None:
        return plan.target
    named = (read_experiment(one.path).target for one in plan.experiments)
    return next((name for name in named if name is not None), DEFAULT_TARGET)


def options_of(plan: GameDay) -> RunOptions:
    """Those with which its experiments run, as far as the plan says them."""
    return RunOptions(target=plan.target, attachment=plan.attachment)


def gather(
    plan: GameDay,
    now: datetime,
    journal: Journal,
    *,
    target: str,
    instance: str,
    beyond: Sequence[str] = (),
    problems: Sequence[str] = (),
) -> Facts:
    """Look everything up; but what is wrong with the experiments, `beyond` the blast radius or at all, is told.

    Raises:
        InvalidInput: a calendar file cannot be read: what is not known to be open is closed.
        EnvironmentProblem: the journal cannot be read, or the extra is not installed.
    """
    due = schedule.due(plan.schedule, now)
    end = now + timedelta(seconds=plan.schedule.window) if due is None else due.end
    return Facts(
        runbook_found=runbook_found(plan),
        due=due,
        upcoming=schedule.next_occurrence(plan.schedule, now),
        closures=closures(plan.blackouts, now, end, zone=plan.schedule.zone),
        checked_in=journal.checked_in(plan.name),
        past=journal.past(plan=plan.name, target=target, instance=instance),
        beyond=beyond,
        problems=problems,
    )


def runbook_found(plan: GameDay) -> bool:
    """Whether the runbook's file is there; a URL is taken at its word."""
    path = plan.runbook_file
    return path is None or path.is_file()


def problems_of_experiments(plan: GameDay) -> list[str]:
    """What keeps the plan's experiments from running on its target, one text each; nothing is started."""
    found = []
    for path in dict.fromkeys(one.path for one in plan.experiments):
        try:
            check(path, options_of(plan))
        except BrownoutError as error:
            found.append(str(error))
    return found
