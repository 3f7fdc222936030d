"""Between the Chaos Toolkit's engine, which is synchronous and lives on the main thread, and the run, which is neither.

The engine runs one experiment a process and keeps its own state in globals; so there is one current bridge. The run's
event loop has a thread of its own, the only one there is: the main thread is the engine's, and signals are delivered
there.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from brownout.errors import BrownoutError, EnvironmentProblem, InvalidInput
from brownout.evidence.store import as_json, recorded
from brownout.experiment import Block
from brownout.halt import Stopped
from brownout.judge import Judged, Judgement
from brownout.plan import RunPlan
from brownout.report.progress import Progress
from brownout.run import Run
from brownout.toolkit.signals import OrderlyExit

T = TypeVar("T")
N = TypeVar("N", int, float)


class Bridge:
    """The current run, as the compiled experiment's activities see it. Every method waits for the run."""

    def __init__(self, plan: RunPlan, progress: Progress, *, ours: bool = False) -> None:
        self.plan = plan
        self.progress = progress
        self.judgement: Judgement | None = None
        self.failure: BrownoutError | None = None
        self.exit = OrderlyExit(self.stop)
        self._ours = ours
        self._shut = False
        self._after = False
        self._before: list[Judged] = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="brownout", daemon=True)
        self._thread.start()
        self.run = self._call(_make(plan, progress))

    def start(self) -> None:
        """Raises `BrownoutError` where the target cannot be brought up."""
        try:
            self._call(self.run.open())
        except Stopped:
            raise
        except BrownoutError as error:
            self.failure = error
            raise
        except Exception as error:
            # A bug, of ours or of a target's; the engine would swallow it and go on.
            msg = f"the {self.plan.target} target failed to come up: {type(error).__name__}: {error}"
            self.failure = EnvironmentProblem(msg)
            raise self.failure from error

    def steady_state(self, index: int) -> dict[str, Any]:
        if self._after:
            return _told(self._block("steady-state after")[index])
        if not self._before:
            self._before = list(self._call(self.run.steady_state()))
        return _told(self._before[index])

    def method_started(self) -> None:
        self._after = True

    def inject(self, step: int) -> str:
        return self._call(self.run.inject(step))

    def withdraw(self, step: int) -> str:
        return self._call(self.run.withdraw(step))

    def recover(self) -> str:
        return self._call(self.run.recover())

    def expect(self, block: Block, index: int) -> dict[str, Any]:
        return _told(self._block(block)[index])

    def heal(self) -> str:
        return self._call(self.run.heal())

    @property
    def stopped(self) -> str | None:
        """Why the run must not go on; None while it may."""
        return self.run.halt.reason

    def stop(self, reason: str) -> None:
        """Ask the run to end; returns at once. Does nothing once the run is over."""
        if not self._shut:
            self._loop.call_soon_threadsafe(self.run.stop, reason)

    def finish(self) -> dict[str, Any]:
        """Judge and tear down, once; what the journal says of it."""
        if self.judgement is None:
            self.judgement = self._call(self.run.close())
        return {
            "outcome": self.judgement.outcome,
            "reasons": list(self.judgement.reasons),
            "title": self.plan.experiment.title,
            "run": str(self.plan.folder),
            "seed": self.plan.seed,
            "scale": self.plan.scale,
            "checks": [_told(judged) for judged in self.judgement.judged],
        }

    def written(self, journal: dict[str, Any]) -> None:
        """Write the run folder, where nobody else will: plain `chaos run` knows nothing of it."""
        if self._ours and self.run.started and self.judgement is not None:
            from brownout.report.terminal import summary  # noqa: PLC0415 - templates load late
            from brownout.toolkit.write import write_folder  # noqa: PLC0415 - likewise

            self.progress.close()
            report = write_folder(self.run, self.judgement, journal)
            summary(self.judgement, run_folder=self.plan.folder, report=report)

    @property
    def ours(self) -> bool:
        """Whether a compiled experiment opened it, so that nobody else will close it."""
        return self._ours

    def shut(self) -> None:
        """End the run's loop and thread; tears down first where nobody has."""
        try:
            self.finish()
        finally:
            self._shut = True
            self.progress.close()
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def _block(self, block: Block) -> list[Judged]:
        return list(self._call(_judged(self.run, block)))

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        while not future.done():
            with contextlib.suppress(TimeoutError):
                future.result(timeout=0.5)
            if not self._thread.is_alive() and not future.done():
                # A plugin that raises SystemExit takes the loop with it; nobody may wait for it for ever.
                msg = "the run's event loop has ended; what is held heals by its lease, the rest by `chaos heal`"
                raise BrownoutError(msg)
        return future.result()


async def _make(plan: RunPlan, progress: Progress) -> Run:
    return Run(plan, progress=progress)


async def _judged(run: Run, block: Block) -> Sequence[Judged]:
    return run.judge_block(block)


def _told(judged: Judged) -> dict[str, Any]:
    (told,) = as_json(recorded([judged]))
    return told


_current: Bridge | None = None


def open_bridge(plan: RunPlan, progress: Progress, *, ours: bool = False) -> Bridge:
    """Make the bridge of the one run of this process."""
    global _current  # noqa: PLW0603 - as global as the engine that calls us
    if _current is not None:
        msg = "this process runs an experiment already; the Chaos Toolkit's engine takes one at a time"
        raise BrownoutError(msg)
    _current = Bridge(plan, progress, ours=ours)
    return _current


def close_bridge() -> None:
    """Tear down whatever is left, and forget it."""
    global _current
    if _current is not None:
        bridge, _current = _current, None
        bridge.shut()


def close_if_ours() -> None:
    """Close the bridge that a compiled experiment opened, and give the signals back."""
    if _current is not None and _current.ours:
        _current.exit.release()
        close_bridge()


def is_open() -> bool:
    """Whether a run is there."""
    return _current is not None


def current() -> Bridge:
    """The run of this process.

    Raises:
        BrownoutError: there is none: a compiled activity was called without its control.
    """
    if _current is None:
        msg = "no run is open: a compiled experiment needs its control, brownout.toolkit.control"
        raise BrownoutError(msg)
    return _current


def open_from_configuration(source: str, file: str, configuration: Mapping[str, Any]) -> Bridge:
    """Open a run from a compiled experiment that plain `chaos run` executes."""
    from brownout.prepare import RunOptions, prepare  # noqa: PLC0415 - only this way in needs it
    from brownout.reader import parse_experiment  # noqa: PLC0415 - likewise
    from brownout.report.terminal import make_progress  # noqa: PLC0415 - likewise

    scale = _number(configuration, "brownout_scale", float)
    options = RunOptions(
        target=str(configuration["brownout_target"]),
        scale=1.0 if scale is None else scale,
        seed=_number(configuration, "brownout_seed", int),
        runs_dir=Path(str(configuration.get("brownout_runs_dir") or "runs")),
    )
    return open_bridge(prepare(parse_experiment(source, file=file), options), make_progress(), ours=True)


def _number(configuration: Mapping[str, Any], key: str, read: Callable[[str], N]) -> N | None:
    value = configuration.get(key)
    text = "" if value is None else str(value)
    try:
        return read(text) if text else None
    except ValueError:
        msg = f"{key.upper()}: expected a number, got {text[:40]!r}"
        raise InvalidInput(msg, value=text) from None
