"""Judging a run: the experiment's checks on the windows of what was recorded. Pure; the same live and from a file."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from brownout.errors import EXIT_ABORTED, EXIT_FAILED, EXIT_INCONCLUSIVE, EXIT_PASSED
from brownout.evidence.recording import Recording
from brownout.evidence.window import Window
from brownout.experiment import Block, Check, Experiment
from brownout.probe import Verdict, flaw_of, inconclusive

ProbeFunction = Callable[..., Verdict]
RunOutcome = Literal["passed", "failed", "inconclusive", "aborted"]
BLOCKS: tuple[Block, ...] = ("steady-state before", "during", "after", "steady-state after")
"""In the order in which they are judged and told."""
MOST_UNDER_WAY = 0.4
"""Of the time before the first fault: what was sent earlier than in this last part of it, and was not answered as the
fault came on, counts."""
_EXIT_CODES: Mapping[RunOutcome, int] = {
    "passed": EXIT_PASSED,
    "failed": EXIT_FAILED,
    "inconclusive": EXIT_INCONCLUSIVE,
    "aborted": EXIT_ABORTED,
}


@dataclass(frozen=True, slots=True)
class Judged:
    """What one check said of its block."""

    block: Block
    check: Check
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Judgement:
    """The verdict on a run, with all that it rests on beside the recording itself."""

    outcome: RunOutcome
    judged: tuple[Judged, ...]
    """Every check of every block: none is skipped because another did not pass."""
    reasons: tuple[str, ...]
    """Why it is not `passed`, a sentence each; empty where it is."""
    aborted: str | None = None
    errors: tuple[str, ...] = ()
    end: float = 0.0
    """When the run ended, in seconds of the run."""

    @property
    def exit_code(self) -> int:
        """What a command that gives this verdict exits with."""
        return _EXIT_CODES[self.outcome]


def windows(experiment: Experiment, recording: Recording, *, end: float | None = None) -> Mapping[Block, Window | None]:
    """The stretches that the blocks are judged on; None for one that never was.

    `during` and `after` are cut where the first fault was really on and the last one really off. The steady state
    before, with which the other windows are compared, is without the requests that were under way as the first fault
    came on: they met it.

    Args:
        experiment: scaled as it ran.
        recording: what was recorded.
        end: when the run ended, in seconds of the run; as planned where None.
    """
    end = experiment.duration if end is None else end
    faults = recording.faults
    first_on = min((fault.on for fault in faults), default=experiment.first_fault)
    off = [fault.off for fault in faults if fault.off is not None]
    last_off = max(off) if off and len(off) == len(faults) else None
    stretches: dict[Block, tuple[float, float] | None] = {
        "steady-state before": (0.0, min(first_on, end)),
        "during": (first_on, end if last_off is None else last_off) if faults else None,
        "after": None if last_off is None else (last_off, end),
        "steady-state after": (end - experiment.final_window, end) if end >= experiment.duration else None,
    }
    found = {
        block: None if stretch is None else recording.window(block, max(stretch[0], 0.0), max(stretch))
        for block, stretch in stretches.items()
    }
    baseline = found[BLOCKS[0]]
    if baseline is not None:
        patience = max(load.timeout for load in experiment.load)
        # What a fault breaks it may have broken a moment before its injection was reported done.
        began = min(first_on, experiment.first_fault)
        baseline = found[BLOCKS[0]] = undisturbed(baseline, began, patience=patience)
    return {
        block: window if window is None or block == BLOCKS[0] else replace(window, baseline=baseline)
        for block, window in found.items()
    }


def undisturbed(window: Window, began: float, *, patience: float) -> Window:
    """Without the requests that were under way as the fault came on: they say nothing of the steady state.

    Only as far back as clients wait at all (`patience` seconds), and never as far as most of the stretch: answers that
    hang are no reason to see less of them.
    """
    since = began - min(patience, MOST_UNDER_WAY * (began - window.start))
    requests = window.requests
    whole = [sent < since or done <= began for sent, done in zip(requests.intended, requests.done, strict=True)]
    return window if all(whole) else replace(window, requests=requests.where(whole))


def judge(
    experiment: Experiment,
    recording: Recording,
    *,
    probes: Callable[[str], ProbeFunction],
    aborted: str | None,
    errors: Sequence[str],
    end: float,
) -> Judgement:
    """Judge every check of an experiment, and from those the run.

    What comes first decides: aborted · the steady state was not there before the method, or something of ours failed or
    no fault was proved (inconclusive) · a check failed · a check was inconclusive · passed.

    Args:
        experiment: scaled as it ran.
        recording: what was recorded.
        probes: gives the probe of a name.
        aborted: why the run was aborted, or None.
        errors: what of our own failed: a recorder, a control, an injection, a heal. With one of these no run passes.
        end: when the run ended, in seconds of the run.
    """
    found = windows(experiment, recording, end=end)
    judged = tuple(one for block in BLOCKS for one in _judge(experiment, recording, block, found[block], probes))
    by_outcome = {
        outcome: [told(one) for one in judged if one.verdict.outcome == outcome]
        for outcome in ("passed", "failed", "inconclusive")
    }
    before = [told(one) for one in judged if one.block == BLOCKS[0] and one.verdict.outcome != "passed"]
    trouble = [*errors, *_unproved(experiment, recording)]
    if not judged:
        trouble.append("the experiment states nothing to judge")

    outcome: RunOutcome
    if aborted is not None:
        outcome, reasons = "aborted", [aborted, *errors]
    elif before or trouble:
        outcome, reasons = "inconclusive", [*trouble, *(f"no steady state to start from: {text}" for text in before)]
        reasons += [text for text in (*by_outcome["failed"], *by_outcome["inconclusive"]) if text not in before]
    elif by_outcome["failed"]:
        outcome, reasons = "failed", by_outcome["failed"]
    elif by_outcome["inconclusive"]:
        outcome, reasons = "inconclusive", by_outcome["inconclusive"]
    else:
        outcome, reasons = "passed", []
    return Judgement(outcome, judged, tuple(dict.fromkeys(reasons)), aborted, tuple(errors), end)


def judge_block(
    experiment: Experiment, recording: Recording, block: Block, *, probes: Callable[[str], ProbeFunction], end: float
) -> tuple[Judged, ...]:
    """Judge the checks of one block alone; arguments as of `judge`."""
    return _judge(experiment, recording, block, windows(experiment, recording, end=end)[block], probes)


def _judge(
    experiment: Experiment,
    recording: Recording,
    block: Block,
    window: Window | None,
    probes: Callable[[str], ProbeFunction],
) -> tuple[Judged, ...]:
    checks: Mapping[Block, tuple[Check, ...]] = {
        "steady-state before": experiment.steady_state,
        "during": experiment.during,
        "after": experiment.after,
        "steady-state after": experiment.steady_state,
    }
    doubt = ""
    if block in ("during", "after") and not recording.faults:
        doubt = "no fault was injected"
    elif block == "during":
        doubt = "; ".join(_unproved(experiment, recording))
    elif window is None:
        doubt = "a fault was never off" if block == "after" else "the run ended before its time"
    return tuple(Judged(block, check, verdict_on(check, window, probes, doubt=doubt)) for check in checks[block])


def judge_abort(check: Check, window: Window, probe: ProbeFunction) -> Verdict:
    """What an abort condition says of a live window. `passed` means that the condition holds: abort.

    An inconclusive verdict never aborts. What the probe raises is not caught: a guard that cannot look is no guard,
    and whoever asked must end the run.
    """
    return probe(window, **check.arguments)


def told(one: Judged) -> str:
    """One check and what it said, as a sentence of a verdict's reasons."""
    verdict = one.verdict
    text = f"{one.block}: {one.check.title}"
    if verdict.outcome != "inconclusive":
        text += f": {verdict.figure}"
    return f"{text}: {verdict.why}" if verdict.why else text


def verdict_on(check: Check, window: Window | None, probes: Callable[[str], ProbeFunction], *, doubt: str) -> Verdict:
    """What a check says of a window. Raises nothing: a probe that does, or whose answer is no verdict, cannot tell.

    Args:
        check: scaled as the window was recorded.
        window: None where there never was such a stretch.
        probes: gives the probe of a name.
        doubt: why nothing can be said of the window, whatever the probe would say; empty where it can.
    """
    if window is None or doubt:
        return inconclusive(check.title, samples=0, why=doubt)
    try:
        found = probes(check.probe)(window, **check.arguments)
    except (Exception, SystemExit) as error:
        return inconclusive(check.title, samples=0, why=f"the probe raised {type(error).__name__}: {error}")
    if flaw := flaw_of(found):
        return inconclusive(check.title, samples=0, why=f"the probe {check.probe} {flaw}")
    return found


def _unproved(experiment: Experiment, recording: Recording) -> list[str]:
    """For each fault of the method of which it is not shown that it was on and then off, why."""
    spans = {fault.index: fault for fault in recording.faults}
    doubts = []
    for index, step in enumerate(experiment.disturbances):
        span = spans.get(index)
        if span is None:
            doubts.append(f"{step.title}: no fault was injected")
        elif span.off is None:
            doubts.append(f"{step.title}: it was never off")
        elif span.proof is None:
            doubts.append(f"{step.title}: nothing proves that it was on")
        elif not span.proof.works:
            doubts.append(f"{step.title}: {span.proof.summary}")
    return doubts
