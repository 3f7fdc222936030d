"""`chaos compile`: an experiment as the Chaos Toolkit reads it."""

import json
from pathlib import Path

import click


@click.command("compile")
@click.argument("source", type=click.Path(path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path, dir_okay=False), help="Write here; stdout if absent.")
def compile_(source: Path, output: Path | None) -> None:
    """Compile the Brownout experiment in SOURCE to an ordinary Chaos Toolkit experiment (JSON)."""
    from brownout.cli._told import told
    from brownout.errors import EnvironmentProblem, InvalidInput
    from brownout.reader import looks_like_chaostoolkit, read_experiment
    from brownout.toolkit.compile import compile_experiment

    with told():
        if looks_like_chaostoolkit(str(source)):
            msg = f"{source} is a Chaos Toolkit experiment already"
            raise InvalidInput(msg)
        text = json.dumps(compile_experiment(read_experiment(source)), indent=2, ensure_ascii=False) + "\n"
        if output is None:
            click.echo(text, nl=False)
            return
        try:
            output.write_text(text, encoding="utf-8")
        except OSError as error:
            msg = f"{output} cannot be written: {error.strerror}"
            raise EnvironmentProblem(msg) from error
