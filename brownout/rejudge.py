"""A recorded run, judged again from its evidence alone: what `chaos verify` and `chaos report` start from."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from brownout import registry
from brownout.errors import BrownoutError
from brownout.evidence.recording import Recording
from brownout.evidence.store import RecordedRun, RecordedVerdict, RunInfo, read_run, recorded
from brownout.experiment import Experiment
from brownout.judge import Judgement, judge
from brownout.reader import parse_experiment

EVIDENCE = "evidence.sqlite"
CUT_SHORT = "the run was cut short: its evidence has no end"


@dataclass(frozen=True, slots=True)
class JudgedRun:
    """A run as its evidence tells it, with the verdict that it gives now."""

    evidence: Path
    info: RunInfo
    experiment: Experiment
    """Scaled as it ran."""
    recording: Recording
    judgement: Judgement
    differences: tuple[str, ...]
    """In what the verdict is not the one that the run itself came to, a sentence each; none as a rule."""

    @property
    def name(self) -> str:
        """The run folder's, by which people know it."""
        return self.evidence.resolve().parent.name


def read_judged(run: Path) -> JudgedRun:
    """Read a run folder, or its evidence.sqlite, and judge it again.

    Raises:
        BrownoutError: it is no run, its evidence is damaged, or its experiment cannot be read with what is installed.
    """
    path = find_evidence(run)
    found = read_run(path)
    experiment = parse_experiment(found.info.experiment_source, file=found.info.experiment_file)
    experiment = experiment.scaled(found.info.scale)
    judgement = _judge(found, experiment)
    return JudgedRun(path, found.info, experiment, found.recording, judgement, tuple(_differences(found, judgement)))


def find_evidence(run: Path) -> Path:
    """The evidence of a run folder, or that very file.

    Raises:
        BrownoutError: there is none.
    """
    path = run / EVIDENCE if run.is_dir() else run
    if not path.is_file():
        msg = f"{run} is no run: expected a run folder with {EVIDENCE} in it, or that file"
        raise BrownoutError(msg)
    return path


def _judge(run: RecordedRun, experiment: Experiment) -> Judgement:
    info = run.info
    return judge(
        experiment,
        run.recording,
        probes=registry.probes().get,
        aborted=info.aborted,
        errors=info.errors if info.end is not None else (*info.errors, CUT_SHORT),
        end=run.recording.latest if info.end is None else info.end,
    )


def _differences(run: RecordedRun, judgement: Judgement) -> Sequence[str]:
    if run.info.outcome is None:
        return [CUT_SHORT]
    now = recorded(judgement.judged)
    differences = []
    if judgement.outcome != run.info.outcome:
        differences.append(f"the run said {run.info.outcome}, its evidence says {judgement.outcome}")
    if len(now) != len(run.verdicts):
        differences.append(f"the run judged {len(run.verdicts)} checks, its experiment has {len(now)}")
    differences += [
        f"{new.block}: {new.title}: the run said {old.verdict.outcome} ({old.verdict.figure}), "
        f"its evidence says {new.verdict.outcome} ({new.verdict.figure})"
        for old, new in zip(run.verdicts, now, strict=False)
        if _told(old) != _told(new)
    ]
    return differences


def _told(one: RecordedVerdict) -> tuple[object, ...]:
    """What a verdict says. What older files do not hold of it, an interval perhaps, is no difference."""
    verdict = one.verdict
    return (one.block, one.title, verdict.outcome, verdict.figure, verdict.threshold, verdict.samples)
