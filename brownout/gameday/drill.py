"""A drill: its experiments in order, with their pauses, each written down before it starts and when it has ended.

What an experiment finds (passed, failed, inconclusive) does not end a drill. That it was aborted, or could not run,
does: somebody, or an abort condition, has said that it is enough.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from brownout.errors import EXIT_ABORTED, EXIT_BAD_INPUT, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_PASSED
from brownout.gameday.journal import Journal
from brownout.gameday.plan import GameDay
from brownout.gameday.rows import Outcome

OUTCOMES: dict[int, Outcome] = {
    EXIT_PASSED: "passed",
    EXIT_FAILED: "failed",
    EXIT_BAD_INPUT: "error",
    EXIT_INCONCLUSIVE: "inconclusive",
    EXIT_ABORTED: "aborted",
}
EXIT_CODES: dict[Outcome, int] = {outcome: code for code, outcome in OUTCOMES.items()}
_FROM_BAD_TO_GOOD: tuple[Outcome, ...] = ("aborted", "error", "failed", "inconclusive", "passed")


@dataclass(frozen=True, slots=True)
class Played:
    """How an experiment went."""

    exit_code: int
    folder: Path | None


class Stage(Protocol):
    """Where a drill is played; both may raise KeyboardInterrupt, which aborts the drill."""

    def play(self, experiment: Path) -> Played:
        """Run one experiment to its end."""

    def pause(self, seconds: float) -> None:
        """Let time pass between two of them."""

    def say(self, text: str) -> None:
        """Tell whoever watches."""


@dataclass(frozen=True, slots=True)
class Ended:
    """What became of a drill."""

    outcome: Outcome
    said: str | None = None


def play(
    plan: GameDay, drill: str, *, until: datetime, journal: Journal, stage: Stage, now: Callable[[], datetime]
) -> Ended:
    """Play the experiments of a plan; the drill has begun in the journal, and has ended there on return.

    Args:
        plan: what is played.
        drill: its name in the journal.
        until: no experiment starts at or after this moment.
        journal: where it is written down.
        stage: what runs the experiments.
        now: the time.
    """
    try:
        ended = _play(plan, drill, until=until, journal=journal, stage=stage, now=now)
    except KeyboardInterrupt:
        ended = Ended("aborted", "interrupted by whoever holds the abort")
    journal.end(drill, outcome=ended.outcome, said=ended.said, at=now())
    return ended


def _play(
    plan: GameDay, drill: str, *, until: datetime, journal: Journal, stage: Stage, now: Callable[[], datetime]
) -> Ended:
    found: list[Outcome] = []
    steps = [(phase, one) for phase in plan.phases for one in phase.experiments]
    for number, (phase, planned) in enumerate(steps, start=1):
        if now() >= until:
            return Ended(
                "aborted", f"the window closed before experiment {number} of {len(steps)} ({planned.path.name})"
            )
        stage.say(f"{number}/{len(steps)} {phase.name}: {planned.path.name}")
        journal.begin_step(drill, number, phase=phase.name, experiment=planned.path.name, at=now())
        played = stage.play(planned.path)
        outcome = OUTCOMES.get(played.exit_code, "error")
        folder = None if played.folder is None else str(played.folder)
        journal.end_step(drill, number, outcome=outcome, folder=folder, at=now())
        found.append(outcome)
        if outcome in ("aborted", "error"):
            what = "was aborted" if outcome == "aborted" else "could not run"
            return Ended(outcome, f"experiment {number} of {len(steps)} ({planned.path.name}) {what}")
        if planned.pause and number < len(steps):
            stage.pause(planned.pause)
    return Ended(min(found, key=_FROM_BAD_TO_GOOD.index, default="inconclusive"))
