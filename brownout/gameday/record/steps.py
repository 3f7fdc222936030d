"""The experiments of a drill, each with what the evidence of its run tells."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from brownout.errors import BrownoutError
from brownout.gameday.plan import GameDay
from brownout.gameday.rows import StepRow
from brownout.rejudge import EVIDENCE, read_judged
from brownout.report.budget import Burnt, budget_of
from brownout.report.figures import BROKEN, WHOLE, Stretch
from brownout.report.text import line
from brownout.report.view import RunView

REPORT = "report.html"


@dataclass(frozen=True)
class Step:
    """One experiment of a drill: as planned, as the journal has it, and as its evidence tells it."""

    number: int
    phase: str
    experiment: str
    """Its file's name."""
    row: StepRow | None
    """None where it was never started."""
    folder: Path | None = None
    """The run's, where it is still there."""
    run: RunView | None = None
    missing: str = ""
    """Why there is no evidence, where there is none."""

    @property
    def outcome(self) -> str:
        """In a word: the verdict, `did not end`, or `not started`."""
        if self.row is None:
            return "not started"
        return self.row.outcome or "did not end"

    @property
    def title(self) -> str:
        """What the experiment calls itself; its file's name where that is not known."""
        return self.experiment if self.run is None else self.run.experiment.title

    @property
    def report(self) -> Path | None:
        """The page of the run, where there is one."""
        path = None if self.folder is None else self.folder / REPORT
        return path if path is not None and path.is_file() else None

    @property
    def broken(self) -> Stretch | None:
        """How requests fared while a fault was on; all of the run where there was none."""
        parts = () if self.run is None else self.run.stretches
        return next((part for part in parts if part.name in (BROKEN, WHOLE) and part.requests), None)

    @property
    def burnt(self) -> Burnt | None:
        """What all of the run took of the month's error budget of its objective."""
        found = None if self.run is None else budget_of(self.run.experiment, self.run.parts, self.run.requests)
        return None if found is None else found.burnt[-1]

    @property
    def fault_on(self) -> datetime | None:
        """When its first fault was on."""
        on = min((span.on for span in self.run.recording.faults), default=None) if self.run else None
        return None if on is None else self.moment(on)

    def moment(self, at: float) -> datetime:
        """A moment of the run, on the calendar."""
        return datetime.fromtimestamp((self.run.info.started_at if self.run else 0.0) + at, UTC)


def steps_of(rows: Sequence[StepRow], plan: GameDay | None, folders: Sequence[Path]) -> Sequence[Step]:
    """All experiments of a drill: those of the plan that were never started as well.

    Args:
        rows: what the journal has.
        plan: as it was; None where it cannot be read any more.
        folders: in which run folders may lie: the drill's own, and where it may have been moved to.
    """
    found: dict[int, Step] = {}
    taken = {Path(row.folder).name for row in rows if row.folder is not None}
    for row in rows:
        found[row.number] = _step(row, folders, taken)
    planned = [(phase.name, one.path.name) for phase in (plan.phases if plan else ()) for one in phase.experiments]
    for number, (phase, name) in enumerate(planned, start=1):
        found.setdefault(number, Step(number, phase, name, None))
    return [found[number] for number in sorted(found)]


def _step(row: StepRow, folders: Sequence[Path], taken: set[str]) -> Step:
    missing = "it left no evidence"
    for folder in _candidates(row, folders, taken):
        try:
            judged = read_judged(folder)
        except BrownoutError as error:
            missing = line(error)
            continue
        if row.folder is None and judged.info.started_at < row.started.timestamp():
            continue
        taken.add(folder.name)
        run = RunView(judged.info, judged.experiment, judged.recording, judged.judgement, judged.name)
        if row.outcome is not None:
            # Of a run that was cut short it is no news that its evidence has no end.
            run = RunView(run.info, run.experiment, run.recording, run.judgement, run.name, judged.differences)
        return Step(row.number, row.phase, row.experiment, row, folder, run)
    return Step(row.number, row.phase, row.experiment, row, missing=missing)


def _candidates(row: StepRow, folders: Sequence[Path], taken: set[str]) -> Iterator[Path]:
    if row.folder is not None:
        moved = [folder / Path(row.folder).name for folder in folders]
        yield from (one for one in (Path(row.folder), *moved) if (one / EVIDENCE).is_file())
        return
    # A drill that was killed had no time to say where its last run lies.
    named = re.compile(rf".+-{re.escape(Path(row.experiment).stem)}(-\d+)?")
    for folder in folders:
        found = sorted(folder.iterdir()) if folder.is_dir() else []
        yield from (
            one for one in found if one.name not in taken and named.fullmatch(one.name) and (one / EVIDENCE).is_file()
        )
