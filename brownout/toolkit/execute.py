"""Run a Brownout experiment under the Chaos Toolkit's engine: what `chaos run` does with our own format."""

import json
import logging
import sys
from pathlib import Path
from typing import Any

import click
from chaoslib.experiment import run_experiment
from chaostoolkit import encoder

from brownout.cli._told import told
from brownout.errors import EXIT_ABORTED, EXIT_BAD_INPUT, BrownoutError
from brownout.prepare import RunOptions, prepare
from brownout.reader import read_experiment
from brownout.report.summary import headline
from brownout.report.terminal import make_progress, summary
from brownout.toolkit.bridge import close_bridge, open_bridge
from brownout.toolkit.compile import compile_experiment
from brownout.toolkit.write import write_folder


def execute(path: Path, options: RunOptions, *, journal: Path | None, verbose: bool, as_json: bool) -> int:
    """Run the experiment at `path`, write the run folder, print the verdict; returns the exit code."""
    with told():
        plan = prepare(read_experiment(path), options)
    if not verbose:
        _hush()
    progress = make_progress(as_json=as_json)
    bridge = open_bridge(plan, progress)
    try:
        record = run_experiment(compile_experiment(plan.experiment), settings=_settings())
    finally:
        close_bridge()
        progress.close()
    if bridge.failure is not None:
        click.echo(f"Error: {bridge.failure}", err=True)
        return EXIT_BAD_INPUT
    if not bridge.run.started:
        click.echo(f"Aborted: {bridge.stopped}, before the load was on", err=True)
        return EXIT_ABORTED
    judgement = bridge.judgement
    assert judgement is not None  # noqa: S101 - `close_bridge` judges
    try:
        report = write_folder(bridge.run, judgement, record, also=journal)
    except (OSError, BrownoutError) as error:
        click.echo(f"Error: the verdict is {judgement.outcome}, but the run folder is incomplete: {error}", err=True)
        return EXIT_BAD_INPUT
    if as_json:
        click.echo(json.dumps(record["brownout"], ensure_ascii=False, default=encoder))
    else:
        said = headline(bridge.run.recording, judgement, duration=judgement.end)
        summary(judgement, run_folder=plan.folder, report=report, headline=said)
    return judgement.exit_code


def _settings() -> dict[str, Any]:
    # The engine leaves faults in place after an interruption unless told otherwise here: a compiled experiment's own
    # `runtime` block is read by the command line only, not by the engine.
    return {"runtime": {"rollbacks": {"strategy": "always"}}}


def _hush() -> None:
    """Keep the engine's log off the terminal; its log file has it all."""
    for handler in logging.getLogger("chaostoolkit").handlers:
        if isinstance(handler, logging.StreamHandler) and handler.stream in (sys.stderr, sys.stdout):
            handler.setLevel(logging.CRITICAL + 1)
