"""What is looked at while a run lasts: abort conditions, and the figures of the progress line."""

import math
from collections.abc import Callable, Sequence

from brownout.clock import Clock
from brownout.evidence.recording import Recording
from brownout.experiment import Check, Experiment
from brownout.judge import ProbeFunction, judge_abort
from brownout.report.progress import LiveStats

JUDGE_EVERY = 0.5
"""Seconds between two looks at the abort conditions. Not scaled: a system that collapses does so at its own pace."""
PATIENCE = 5.0
"""Seconds for which a stream may be silent before an abort condition counts its request as missing; or `over`, if
longer."""
STATS_OVER = 3.0
"""Seconds that the progress line looks back."""


def patience_of(experiment: Experiment) -> float:
    """Seconds of silence after which a request counts as missing while the run lasts.

    Of an answer that is not streamed nothing is heard until all of it is there: for those it is their client's own.
    """
    return max(load.timeout if not load.stream else PATIENCE for load in experiment.load)


async def watch_aborts(
    conditions: Sequence[Check],
    recording: Recording,
    *,
    probes: Callable[[str], ProbeFunction],
    clock: Clock,
    abort: Callable[[str], None],
    patience: float = PATIENCE,
) -> None:
    """Judge every abort condition on its rolling window, again and again; on the first breach, abort and return."""
    at = clock.now()
    while True:
        at = max(at + JUDGE_EVERY, clock.now())
        await clock.sleep_until(at)
        for condition in conditions:
            window = recording.live_window(clock.now(), condition.over, pending_after=max(condition.over, patience))
            verdict = judge_abort(condition, window, probes(condition.probe))
            if verdict.outcome == "passed":
                abort(f"{condition.title}: {verdict.figure} over the last {condition.over:.3g} s")
                return


def live_stats(experiment: Experiment, recording: Recording, now: float) -> LiveStats:
    """The figures of the progress line, of the last few seconds."""
    window = recording.live_window(now, min(STATS_OVER, max(now, 0.001)))
    answers = [request for request in window.requests if request.outcome == "ok"]
    times = sorted(request.ttft for request in answers if request.ttft is not None)
    levels = [request.level for request in answers if request.level is not None]
    ends = dict(enumerate(one.end for one in experiment.disturbances))
    return LiveStats(
        elapsed=now,
        total=experiment.duration,
        requests=recording.count,
        rate=len(window.requests) / max(window.length, 0.001),
        errors=recording.failures,
        ttft_p95=times[math.ceil(len(times) * 0.95) - 1] if times else None,
        degraded_share=sum(level > 0 for level in levels) / len(levels) if levels else None,
        breakers={transition.dependency: transition.new for transition in window.history},
        faults=tuple((span.title, ends[span.index] - now) for span in recording.faults if span.off is None),
    )
