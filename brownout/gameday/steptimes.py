"""When something was broken in an experiment of a drill, and how its service levels fared: read from its evidence."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from brownout.errors import BrownoutError
from brownout.evidence.store import RecordedRun, read_run
from brownout.experiment import Experiment
from brownout.gameday.levels import levels_of, spell
from brownout.gameday.rows import StepRow
from brownout.reader import parse_experiment
from brownout.rejudge import find_evidence
from brownout.report.budget import Burnt, budget_of
from brownout.report.figures import parts


@dataclass(frozen=True, slots=True, kw_only=True)
class StepTimes:
    """What the evidence of a step says. None is what it does not say."""

    number: int
    """Of the experiment in its drill."""
    experiment: str
    fault_on: datetime | None = None
    fault_off: datetime | None = None
    """None where it never went off by the evidence: the run was killed."""
    broken: datetime | None = None
    """When a service level first broke, at or after `fault_on`."""
    held_under_fault: datetime | None = None
    """From when on they held again until `fault_off`; None where they did not, or had not broken."""
    whole: datetime | None = None
    """From when on, at or after `fault_off`, they held to the end of the run; None where they did not."""
    levels_seen: bool = False
    """Whether the experiment states service levels, and enough was asked under the fault to tell whether they held."""
    aborted: bool = False
    until: datetime | None = None
    """How long anybody could have marked anything as of this step: the next one's start, or the drill's end."""
    burnt: Burnt | None = None
    why: str = ""
    """Why nothing is known, where that is so."""


def times_of(row: StepRow, *, until: datetime | None) -> StepTimes:
    """What the evidence in a step's run folder says; what cannot be read says why.

    Args:
        row: the step as the journal has it.
        until: see `StepTimes`.
    """
    nothing = StepTimes(number=row.number, experiment=row.experiment, aborted=row.outcome == "aborted", until=until)
    if row.folder is None:
        return replace(nothing, why="it left no run folder")
    try:
        run = read_run(find_evidence(Path(row.folder)))
        info = run.info
        experiment = parse_experiment(info.experiment_source, file=info.experiment_file).scaled(info.scale)
    except (BrownoutError, OSError) as error:
        return replace(nothing, why=str(error))
    if not run.recording.faults:
        return replace(nothing, why="no fault was on")
    return _filled(nothing, run, experiment)


def _filled(nothing: StepTimes, run: RecordedRun, experiment: Experiment) -> StepTimes:
    faults, requests = run.recording.faults, run.recording.requests
    end = run.recording.latest if run.info.end is None else run.info.end
    on = min(one.on for one in faults)
    offs = [one.off for one in faults if one.off is not None]
    off = max(offs) if len(offs) == len(faults) else None
    started = datetime.fromtimestamp(run.info.started_at, UTC)

    def moment(at: float | None) -> datetime | None:
        return None if at is None else started + timedelta(seconds=at)

    budget = budget_of(experiment, parts(requests, faults, end=end), requests)
    found = replace(
        nothing, fault_on=moment(on), fault_off=moment(off), burnt=budget.burnt[-1] if budget is not None else None
    )
    levels = levels_of(experiment)
    if not levels:
        return found
    under = spell(requests, levels, start=on, end=end if off is None else off)
    afterwards = None if off is None else spell(requests, levels, start=off, end=end)
    return replace(
        found,
        # Over the heal as well: what breaks in its last moments is in no stretch that ends before it.
        broken=moment(spell(requests, levels, start=on, end=end).broken),
        held_under_fault=None if off is None or under.broken is None else moment(under.held),
        whole=None if afterwards is None else moment(afterwards.held),
        levels_seen=under.seen,
    )
