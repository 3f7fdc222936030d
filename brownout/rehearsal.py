"""`chaos run --dry-run`: what the faults of an experiment would do, asked of the system itself, and nothing done."""

import asyncio
from collections.abc import Callable
from pathlib import Path

from brownout.errors import FaultError, InvalidInput
from brownout.fit import planned
from brownout.prepare import RunOptions, selected
from brownout.reader import read_experiment
from brownout.target import Rehearses


def rehearse(path: Path, options: RunOptions, *, say: Callable[[str], None]) -> None:
    """Tell of every step of the experiment's method what would be done.

    Raises:
        InvalidInput: something that was written is wrong, or the target cannot tell.
        BrownoutError: something could not be done if it were tried.
    """
    experiment = read_experiment(path)
    name, factory, topology = selected(experiment, options)
    target = factory()
    if not isinstance(target, Rehearses):
        msg = f"--dry-run: target {name!r} is made for each run, so there is nothing to be careful of; just run it"
        raise InvalidInput(msg)
    plans = [(step, planned(step, topology)) for step in experiment.method]

    async def play(target: Rehearses) -> None:
        for step, plan in plans:
            say(f"{step.title}:")
            try:
                await target.rehearse(plan.steps, say)
            except FaultError as problem:
                msg = f"{step.fault}: {problem}"
                raise InvalidInput(msg, at=step.location) from problem

    asyncio.run(play(target))
    say("Nothing was done.")
