"""A drill: its experiments in order, with their pauses, each written down before it starts and when it has ended.

What an experiment finds (passed, failed, inconclusive) does not end a drill. That it was aborted, or could not run,
does: somebody, or an abort condition, has said that it is enough.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Protocol

from brownout.errors import EXIT_ABORTED, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_PASSED
from brownout.gameday.abort import Abort
from brownout.gameday.desk import Desk
from brownout.gameday.events import AbortAsked, DrillEnded, Paused, StepBegan, StepEnded, StepTold
from brownout.gameday.journal import Journal
from brownout.gameday.rows import Outcome
from brownout.units import format_seconds

OUTCOMES: dict[int, Outcome] = {
    EXIT_PASSED: "passed",
    EXIT_FAILED: "failed",
    EXIT_BAD_INPUT: "error",
    EXIT_INCONCLUSIVE: "inconclusive",
    EXIT_ABORTED: "aborted",
}
EXIT_CODES: dict[Outcome, int] = {outcome: code for code, outcome in OUTCOMES.items()}
_FROM_BAD_TO_GOOD: tuple[Outcome, ...] = ("aborted", "error", "failed", "inconclusive", "passed")
_ABORTED = "ABORTED: "
"""How a run's note starts that says why it stopped (`brownout.run.Run.stop`)."""

Tell = Callable[[Mapping[str, Any]], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Played:
    """How an experiment went."""

    exit_code: int
    folder: Path | None
    healed: str | None = None
    """Of one that the drill's abort ended: what became of what was broken, in words."""


class Stage(Protocol):
    """Where a drill is played."""

    scale: float
    """Of the experiments and of the pauses."""

    async def play(self, experiment: Path, *, abort: Abort, tell: Tell) -> Played:
        """Run one experiment to its end, or until the abort is asked for: then everything is healed on return.

        Args:
            experiment: its file.
            abort: that of the drill.
            tell: is given what happens, as it happens, as `brownout.report.progress.JsonProgress` writes it.
        """

    async def pause(self, seconds: float) -> None:
        """Let time pass between two of them."""

    def say(self, text: str) -> None:
        """On the terminal."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a drill."""

    outcome: Outcome
    said: str | None = None


async def play(desk: Desk, *, until: datetime, journal: Journal, stage: Stage) -> Ended:
    """Play the experiments of a plan; the drill has begun in the journal, and has ended there on return.

    Args:
        desk: what is played, its abort, and who is told.
        until: no experiment starts at or after this moment.
        journal: where it is written down.
        stage: what runs the experiments.
    """
    telling = asyncio.create_task(_tell_abort(desk))
    try:
        ended = await _play(desk, until=until, journal=journal, stage=stage)
        if desk.abort.asked is not None:
            await telling
    finally:
        telling.cancel()
        await asyncio.wait({telling})
    at = desk.now()
    journal.end(desk.drill, outcome=ended.outcome, said=ended.said, at=at)
    await desk.tell(DrillEnded(outcome=ended.outcome, said=ended.said, at=at))
    return ended


async def _tell_abort(desk: Desk) -> None:
    asked = await desk.abort.wait()
    await desk.tell(AbortAsked(by=asked.by, why=asked.why, at=asked.at))


async def _play(desk: Desk, *, until: datetime, journal: Journal, stage: Stage) -> Ended:
    plan, abort, now = desk.plan, desk.abort, desk.now
    found: list[Outcome] = []
    for ready in desk.waits_for:
        await abort.unless(ready())
    steps = [(phase, one) for phase in plan.phases for one in phase.experiments]
    for number, (phase, planned) in enumerate(steps, start=1):
        name = f"experiment {number} of {len(steps)} ({planned.path.name})"
        if aborted := _aborted(abort, f"stopped before {name}"):
            return aborted
        if now() >= until:
            return Ended("aborted", f"the window closed before {name}")
        stage.say(f"{number}/{len(steps)} {phase.name}: {planned.path.name}")
        at = now()
        journal.begin_step(desk.drill, number, phase=phase.name, experiment=planned.path.name, at=at)
        await desk.tell(
            StepBegan(number=number, of=len(steps), phase=phase.name, experiment=planned.path, at=at),
        )
        played = await stage.play(planned.path, abort=abort, tell=_teller(desk, number, planned.path.name))
        outcome: Outcome = OUTCOMES.get(played.exit_code, "error")
        at, folder = now(), None if played.folder is None else str(played.folder)
        journal.end_step(desk.drill, number, outcome=outcome, folder=folder, at=at)
        await desk.tell(StepEnded(number=number, outcome=outcome, folder=played.folder, at=at))
        found.append(outcome)
        if aborted := _aborted(abort, f"{name} was aborted", played.healed):
            return aborted
        if outcome in ("aborted", "error"):
            return Ended(outcome, f"{name} {'was aborted' if outcome == 'aborted' else 'could not run'}")
        if planned.pause and number < len(steps):
            await _pause(desk, stage, planned.pause * stage.scale)
    return Ended(min(found, key=_FROM_BAD_TO_GOOD.index, default="inconclusive"))


def _aborted(abort: Abort, what: str, healed: str | None = None) -> Ended | None:
    if (asked := abort.asked) is None:
        return None
    return Ended("aborted", f"{what} by {asked.by}: {asked.why}" + (f"; {healed}" if healed else ""))


def _teller(desk: Desk, number: int, name: str) -> Tell:
    async def tell(told: Mapping[str, Any]) -> None:
        text = told.get("text")
        if told.get("event") == "note" and isinstance(text, str) and text.startswith(_ABORTED):
            # By a condition of its own; where the drill asked for it, that came first and is kept.
            desk.abort.ask(name, text.removeprefix(_ABORTED))
        await desk.tell(StepTold(number=number, told=told, at=desk.now()))

    return tell


async def _pause(desk: Desk, stage: Stage, seconds: float) -> None:
    at = desk.now()
    stage.say(f"a pause of {format_seconds(seconds)}")
    await desk.tell(Paused(until=at + timedelta(seconds=seconds), at=at))
    await desk.abort.unless(stage.pause(seconds))
