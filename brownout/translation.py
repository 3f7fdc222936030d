"""`chaos compile --to ENGINE`: the faults of an experiment, as another engine is told them."""

import asyncio
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from brownout.errors import InvalidInput
from brownout.fit import planned
from brownout.prepare import RunOptions, selected
from brownout.reader import read_experiment
from brownout.target import CompiledStep, CompilesTo


def translate(path: Path, to: str, options: RunOptions) -> Sequence[Mapping[str, Any]]:
    """An object for each breakage of the experiment's method, in the order of their times.

    Raises:
        BrownoutError: something that was written is wrong, or cannot be said to that engine.
    """
    experiment = read_experiment(path)
    name, factory, topology = selected(experiment, options)
    target = factory()
    if not isinstance(target, CompilesTo):
        msg = f"--to {to}: no other engine does the faults of target {name!r}"
        raise InvalidInput(msg)
    steps: list[CompiledStep] = []
    for step in sorted(experiment.method, key=lambda one: one.at):
        for place, breakage in planned(step, topology).steps:
            called = re.sub(r"[^a-z0-9]+", "-", f"{path.stem}-{step.fault}-{len(steps) + 1}".lower()).strip("-")
            steps.append(CompiledStep(called, step.end - step.at, place, breakage))
    return asyncio.run(target.compiled(to, steps))
