"""Undoing what runs that are no more left broken: what `chaos heal` does."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from brownout.errors import BrownoutError, InvalidInput
from brownout.ledger import Ledger, RunRow
from brownout.target import TargetFactory

Outcome = Literal["healed", "alive", "broken"]


@dataclass(frozen=True, slots=True)
class Healed:
    """What became of one run that the ledger held."""

    run: str
    outcome: Outcome
    """`alive`: its process still runs, and it was left alone. `broken`: something could not be undone."""
    faults: Sequence[str]
    """What it had broken, or was about to, and had not healed."""
    did: Sequence[str]
    """What was done, or why it could not be."""


async def heal_runs(
    ledger: Ledger, factory: Callable[[str], TargetFactory], *, only: str | None = None, force: bool = False
) -> Sequence[Healed]:
    """Undo every run whose process is gone, or only the one named; with `force` even if its process lives.

    Args:
        ledger: where the runs are written down.
        factory: gives a registered target by name.
        only: a run's id.
        force: for a run that hangs. Its target is taken away from under it.

    Raises:
        InvalidInput: the ledger holds no such run.
    """
    runs = await asyncio.to_thread(ledger.open_runs)
    if only is not None:
        if only not in [run.id for run in runs]:
            problem = f"the ledger holds no run {only!r} that has not ended"
            raise InvalidInput(problem, value=only, allowed=[run.id for run in runs])
        runs = [run for run in runs if run.id == only]
    return [await _heal(ledger, run, factory, force=force) for run in runs]


async def _heal(ledger: Ledger, run: RunRow, factory: Callable[[str], TargetFactory], *, force: bool) -> Healed:
    rows = await asyncio.to_thread(ledger.faults, run.id)
    faults = [f"{row.kind} at {row.place}" for row in rows if row.state != "healed"]
    if run.process.alive() and not force:
        return Healed(run.id, "alive", faults, [f"still runs (pid {run.process.pid})"])
    try:
        did = await factory(run.target).undo(run.recovery)
    except BrownoutError as problem:
        return Healed(run.id, "broken", faults, [str(problem)])
    except (OSError, KeyError, ValueError, TypeError) as problem:
        # One run that cannot be undone must not keep the others from being healed.
        return Healed(run.id, "broken", faults, [f"{type(problem).__name__}: {problem}"])
    await asyncio.to_thread(ledger.end, run.id)
    return Healed(run.id, "healed", faults, did)
