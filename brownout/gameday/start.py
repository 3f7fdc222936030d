"""The start of a drill: hold the target, ask the rules, write it down, play it."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from brownout import process
from brownout.attachment import Attachment
from brownout.errors import EXIT_ABORTED, EXIT_PASSED, EnvironmentProblem, InvalidInput
from brownout.gameday.abort import Abort
from brownout.gameday.desk import Desk
from brownout.gameday.drill import EXIT_CODES, Stage, play
from brownout.gameday.events import DrillBegan, Watcher
from brownout.gameday.facts import gather, problems_of_experiments, target_of
from brownout.gameday.governance import NEVER_OVERRIDDEN, RULES, Decision, Facts, Override, Refusal, permit
from brownout.gameday.journal import Journal
from brownout.gameday.minutes import Minutes
from brownout.gameday.plan import GameDay
from brownout.gameday.radius import beyond_radius
from brownout.gameday.reader import read_plan
from brownout.gameday.record import write
from brownout.gameday.rows import NewDrill
from brownout.state import hold_for_drill


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """What may be said of a start; as written, not yet checked."""

    file: Path
    instance: str
    runs_dir: Path
    overrides: Sequence[tuple[str, str, str]] = ()
    """Rule, who, why."""
    if_due: bool = False
    """Say calmly where it is no time for it."""


Opened = Callable[[Desk], AbstractAsyncContextManager[Sequence[Watcher]]]
"""Opens whatever watches a drill and may steer it, for as long as the drill goes on."""


async def start(
    asked: Start,
    *,
    now: Callable[[], datetime],
    say: Callable[[str], object],
    stage: Callable[[Path, str, Attachment], Stage],
    abort: Abort,
    watched: Sequence[Opened] = (),
) -> int:
    """Start a drill if the rules permit, and play it; returns the exit code.

    Args:
        asked: what was said of the start.
        now: the time.
        say: tell whoever sits at the terminal.
        stage: what runs the experiments, from the drill's folder, the target's name and which running system it is.
        abort: ends the drill wherever it is.
        watched: who else is told, and may steer.

    Raises:
        InvalidInput: something that was written is wrong, or the rules do not permit it: says every reason.
        EnvironmentProblem: this machine cannot do it, or another drill holds the target: says which.
    """
    plan = read_plan(asked.file)
    overrides = [_override(plan, *one) for one in asked.overrides]
    target, moment = target_of(plan), now()
    name = f"{moment:%Y-%m-%dT%H-%M-%SZ}-{plan.name}"
    with Journal.open() as journal, Minutes.open() as minutes:

        def refuse(*refusals: Refusal) -> None:
            minutes.refuse(plan.name, target=target, instance=asked.instance, refusals=refusals, at=moment)

        if asked.if_due:
            decision = permit(plan, moment, gather(plan, moment, journal, target=target, instance=asked.instance))
            if decision.not_due:
                say(_told(plan, decision, "no drill now"))
                return EXIT_PASSED
        # A drill that could not be played to its end does not begin.
        problems = await asyncio.to_thread(problems_of_experiments, plan)
        beyond = () if problems else await asyncio.to_thread(beyond_radius, plan)
        # Whoever watches is let go of after the target: the last of a webhook may take a while.
        async with AsyncExitStack() as opened:
            with _held(target, asked.instance, name, refuse):
                facts = gather(
                    plan, moment, journal, target=target, instance=asked.instance, beyond=beyond, problems=problems
                )
                decision = permit(plan, moment, facts, overrides)
                if not decision.permitted:
                    refuse(*decision.refusals)
                    raise InvalidInput(_told(plan, decision, "the drill is refused"))
                for refusal, override in decision.overridden:
                    say(f"OVERRIDDEN by {override.by} ({override.why}): {refusal}")
                if abort.asked is not None:
                    say("aborted before anything was started")
                    return EXIT_ABORTED
                folder = _folder(asked.runs_dir, name)
                played_on = stage(folder, target, plan.attachment)
                say(f"drill {name}: {plan.title}; {decision.abort_holder or 'nobody'} holds the abort")
                new = _new(
                    plan, name, target, folder, instance=asked.instance, decision=decision, facts=facts, moment=moment
                )
                desk = Desk(name, plan, abort=abort, minutes=minutes, now=now, say=say)
                # What cannot be opened is known before the drill is in the journal.
                for one in watched:
                    desk.watchers += await opened.enter_async_context(one(desk))
                journal.begin(new, decision.overridden)
                await desk.tell(_began(desk, new))
                ended = await play(desk, until=_until(plan, facts, moment), journal=journal, stage=played_on)
            say(await asyncio.to_thread(_recorded, journal, minutes, name, folder))
    say(f"drill {name}: {ended.outcome}" + (f": {ended.said}" if ended.said else ""))
    hours = plan.review_within / 3600
    say(f"to be reviewed within {hours:g} hours: chaos gameday record {name} --reviewed --by NAME")
    return EXIT_CODES[ended.outcome]


def _began(desk: Desk, new: NewDrill) -> DrillBegan:
    return DrillBegan(
        drill=desk.drill,
        plan=desk.plan,
        target=new.target,
        instance=new.instance,
        folder=Path(new.folder),
        abort_holder=new.abort_holder,
        at=new.started,
    )


@contextmanager
def _held(target: str, instance: str, name: str, refuse: Callable[[Refusal], None]) -> Iterator[None]:
    with ExitStack() as holding:
        try:
            holding.enter_context(hold_for_drill(target, instance, name))
        except EnvironmentProblem as error:
            refuse(Refusal("running", str(error)))
            raise
        yield


def _override(plan: GameDay, rule: str, by: str, why: str) -> Override:
    may = [one for one in RULES if one not in NEVER_OVERRIDDEN]
    for known in RULES:
        if known == rule:
            break
    else:
        msg = f"--override: unknown rule {rule!r}"
        raise InvalidInput(msg, value=rule, allowed=may)
    if known in NEVER_OVERRIDDEN:
        msg = f"--override: nobody can override {rule!r}"
        raise InvalidInput(msg, allowed=may)
    if by not in plan.people:
        msg = f"--by: {by!r} is none of the people of {plan.file}"
        raise InvalidInput(msg, value=by, allowed=plan.people.names)
    if not why.strip():
        msg = "--because: expected a reason"
        raise InvalidInput(msg)
    return Override(known, by, " ".join(why.split()))


def _told(plan: GameDay, decision: Decision, what: str) -> str:
    return "\n".join([f"{plan.file}: {what}", *(f"  {one}" for one in decision.refusals)])


def _folder(runs_dir: Path, name: str) -> Path:
    folder = runs_dir / name
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        msg = f"the drill's folder {folder} cannot be made: {error.strerror}; choose another with --runs-dir"
        raise EnvironmentProblem(msg) from error
    return folder


def _recorded(journal: Journal, minutes: Minutes, name: str, folder: Path) -> str:
    try:
        return f"record {write(journal, minutes, name, folder)}"
    except EnvironmentProblem as error:
        # The drill has ended as it has; its record can be written later.
        return f"{error}; write it with: chaos gameday record {name} --html FILE"


def _until(plan: GameDay, facts: Facts, moment: datetime) -> datetime:
    return moment + timedelta(seconds=plan.schedule.window) if facts.due is None else facts.due.end


def _new(
    plan: GameDay,
    name: str,
    target: str,
    folder: Path,
    *,
    instance: str,
    decision: Decision,
    facts: Facts,
    moment: datetime,
) -> NewDrill:
    return NewDrill(
        id=name,
        plan=plan.name,
        title=plan.title,
        source=plan.source,
        target=target,
        instance=instance,
        folder=str(folder.resolve()),
        commander=plan.people.commander,
        abort_holder=decision.abort_holder,
        process=process.current(),
        review_within=plan.review_within,
        scheduled=None if facts.due is None else facts.due.start,
        started=moment,
    )
