"""Run a Brownout experiment under the Chaos Toolkit's engine: what `chaos run` does with our own format."""

import contextlib
import json
import logging
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
from chaoslib.control import load_global_controls
from chaoslib.experiment import run_experiment
from chaoslib.settings import load_settings
from chaostoolkit import encoder

from brownout.cli._told import told
from brownout.errors import EXIT_ABORTED, EXIT_BAD_INPUT, EnvironmentProblem, said
from brownout.judge import Judgement
from brownout.plan import RunPlan
from brownout.prepare import RunOptions, prepare
from brownout.reader import read_experiment
from brownout.report.progress import JsonProgress, SharedProgress
from brownout.report.summary import headline
from brownout.report.terminal import console_for, make_progress, summary
from brownout.toolkit.bridge import Bridge, close_bridge, open_bridge
from brownout.toolkit.compile import compile_experiment
from brownout.toolkit.write import write_folder

logger = logging.getLogger("chaostoolkit")


def execute(
    path: Path,
    options: RunOptions,
    *,
    settings: str,
    journal: Path | None,
    verbose: bool,
    as_json: bool,
    events: Path | None = None,
) -> int:
    """Run the experiment at `path`, write the run folder, print the verdict; returns the exit code.

    Args:
        path: of the experiment's file.
        options: what was said of the run.
        settings: path of the Chaos Toolkit's settings file, whose controls apply.
        journal: write the journal there too.
        verbose: leave the engine's log on the terminal.
        as_json: progress and verdict as JSON.
        events: write what happens there too, a JSON object a line; `-` is stdout, and the table goes to stderr.
    """
    with contextlib.ExitStack() as files:
        return _execute(path, options, settings, journal, verbose=verbose, out=_Output(as_json, events), files=files)


@dataclass(frozen=True, slots=True)
class _Output:
    """Who is told what."""

    as_json: bool
    events: Path | None

    @property
    def takes_stdout(self) -> bool:
        """Whether stdout is the events' alone."""
        return str(self.events) == "-"

    def open(self, files: contextlib.ExitStack) -> JsonProgress | None:
        """Where events go; None where they go nowhere.

        Raises:
            EnvironmentProblem: the file cannot be written.
        """
        if self.events is None:
            return None
        if self.takes_stdout:
            return JsonProgress(sys.stdout)
        try:
            return JsonProgress(files.enter_context(self.events.open("w", encoding="utf-8")))
        except OSError as error:
            msg = f"the events cannot be written to {self.events}: {error.strerror}"
            raise EnvironmentProblem(msg) from error


def _execute(
    path: Path,
    options: RunOptions,
    settings: str,
    journal: Path | None,
    *,
    verbose: bool,
    out: _Output,
    files: contextlib.ExitStack,
) -> int:
    try:
        with told():
            experiment = read_experiment(path)
            _check_journal(journal)
            events = out.open(files)
            plan = prepare(experiment, options)
        if not verbose:
            _hush()
        progress = make_progress(as_json=out.as_json)
        bridge = open_bridge(plan, progress if events is None else SharedProgress(progress, events))
    except KeyboardInterrupt:
        click.echo("Aborted before anything was started", err=True)
        return EXIT_ABORTED
    bridge.exit.claim()
    try:
        record = _run(plan, settings)
        # The engine gives SIGTERM back to whoever had it before; there is still a folder to write.
        bridge.exit.claim()
        record["brownout"] = bridge.finish()
        return _close(bridge, record, journal=journal, out=out, events=events)
    finally:
        close_bridge()
        bridge.exit.release()


def _check_journal(journal: Path | None) -> None:
    """Raises `EnvironmentProblem` where it could not be written in the end: that is known before the run."""
    if journal is not None and (journal.is_dir() or not journal.parent.is_dir()):
        why = "it is a folder" if journal.is_dir() else f"there is no folder {journal.parent}"
        msg = f"the journal cannot be written to {journal}: {why}"
        raise EnvironmentProblem(msg)


def _run(plan: RunPlan, settings_path: str) -> dict[str, Any]:
    settings = load_settings(settings_path) or {}
    load_global_controls(settings)
    # The engine leaves faults in place after an interruption unless told otherwise here: a compiled experiment's own
    # `runtime` block is read by the command line only, not by the engine.
    settings.setdefault("runtime", {})["rollbacks"] = {"strategy": "always"}
    record: dict[str, Any] = run_experiment(compile_experiment(plan.experiment), settings=settings)
    return record


def _close(
    bridge: Bridge, record: dict[str, Any], *, journal: Path | None, out: _Output, events: JsonProgress | None
) -> int:
    judgement = bridge.judgement
    if bridge.failure is not None or judgement is None:
        logger.debug("the run failed", exc_info=bridge.failure)
        _remove_unused(bridge.plan.folder)
        return _no_verdict(bridge, "error", f"Error: {bridge.failure}", EXIT_BAD_INPUT, out=out, events=events)
    if not bridge.run.started:
        why = f"Aborted: {bridge.stopped}, before the load was on"
        return _no_verdict(bridge, "aborted", why, EXIT_ABORTED, out=out, events=events)
    folder = bridge.plan.folder
    try:
        report = write_folder(bridge.run, judgement, record)
        with _stdout_given_up_on_failure():
            _tell(bridge, judgement, record["brownout"] | {"report": str(report)}, report, out=out, events=events)
        if journal is not None:
            # Last: where it cannot be written, all else is there.
            journal.write_text((folder / "journal.json").read_text(encoding="utf-8"), encoding="utf-8")
    except Exception as error:
        # Whatever it is, an exit code of 1 would be a finding. What is shown came from probes and targets of anybody's.
        logger.debug("not all was written", exc_info=error)
        bridge.progress.close()
        click.echo(f"Error: the verdict is {judgement.outcome}, but not all was written: {said(error)}", err=True)
        return EXIT_BAD_INPUT
    return judgement.exit_code


def _tell(
    bridge: Bridge,
    judgement: Judgement,
    told: dict[str, Any],
    report: Path,
    *,
    out: _Output,
    events: JsonProgress | None,
) -> None:
    if events is not None:
        events.verdict(told)
    bridge.progress.close()
    if out.as_json:
        sys.stdout.write(json.dumps(told, ensure_ascii=True, default=encoder) + "\n")
        sys.stdout.flush()
    else:
        sentence = headline(bridge.run.recording, judgement, duration=judgement.end)
        summary(
            judgement,
            run_folder=bridge.plan.folder,
            report=report,
            headline=sentence,
            console=console_for(sys.stderr if out.takes_stdout else sys.stdout),
        )


def _no_verdict(bridge: Bridge, outcome: str, why: str, code: int, *, out: _Output, events: JsonProgress | None) -> int:
    told = {"outcome": outcome, "reasons": [why], "run": None, "checks": []}
    if events is not None:
        events.verdict(told)
    bridge.progress.close()
    click.echo(why, err=True)
    if out.as_json:
        click.echo(json.dumps(told))
    return code


@contextlib.contextmanager
def _stdout_given_up_on_failure() -> Iterator[None]:
    """What is left in its buffer would be tried again, and fail again, as the interpreter ends."""
    try:
        yield
    except OSError:
        with contextlib.suppress(OSError):
            sys.stdout.close()
        raise


def _remove_unused(folder: Path) -> None:
    """Remove the folder of a run that never began, unless a service left a log in it that says why."""
    if not any(log.stat().st_size for log in (folder / "logs").glob("*")):
        shutil.rmtree(folder, ignore_errors=True)


def _hush() -> None:
    """Keep the engine's log off the terminal; its log file has it all."""
    for handler in logger.handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
            handler.setLevel(logging.CRITICAL + 1)
